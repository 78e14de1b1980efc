import itertools
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torchvision.transforms.functional as TF
from mmcv.transforms.utils import cache_random_params
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from vit_plugins.datasets.transforms import SimpleRandomCrop
from vit_plugins.datasets.transforms.simple_random_crop import (
    SimpleRandomCropParams,
    reflected_window,
    scale_short_side,
    simple_random_crop,
)

S = 32
SHAPES = [(h, w) for h in (S, S - 1, S + 1, 2 * S) for w in (S, S - 1, S + 1, 2 * S)]
EXTREME = [(1, 1), (1, 40), (40, 1), (7, 900), (900, 7), (2, 3)]


@pytest.mark.parametrize(('height', 'width'), [*SHAPES, *EXTREME, (375, 500), (333, 500)])
@pytest.mark.parametrize('size', [1, S, 224])
def test_resized_shape_is_that_of_torchvision_and_of_the_host(height, width, size):
    shape = scale_short_side(height, width, size)
    img = Image.new('L', (width, height))
    assert TF.resize(img, size, TF.InterpolationMode.BICUBIC).size == shape[::-1]
    resize = TRANSFORMS.build(dict(type='ResizeEdge', scale=size))
    resized = resize({'img': np.zeros((height, width, 3), np.uint8)})['img']
    assert resized.shape[:2] == shape


@pytest.mark.parametrize('backend', ['torch', 'pillow', 'cv2'])
@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_any_image_becomes_a_square_and_a_constant_one_stays_constant(backend, channels):
    for shape, size in itertools.product([*SHAPES[:6], *EXTREME], (S, 3)):
        img = np.full((*shape, *channels), 77, np.uint8)
        img.flags.writeable = False
        out = SimpleRandomCrop(size, backend=backend)({'img': img, 'img_shape': shape})
        assert out['img'].shape == (size, size, *channels)
        assert out['img_shape'] == (size, size)
        np.testing.assert_array_equal(out['img'], 77)  # zeros would be padding


@pytest.mark.parametrize(('height', 'width'), [(S, 40), (40, S), (S, S), (2 * S, 3 * S)])
def test_offsets_cover_the_padding_and_the_long_side(height, width):
    crop = SimpleRandomCrop(S)
    drawn = [crop.sample(height, width) for _ in range(3000)]
    rows, columns = scale_short_side(height, width, S)
    assert {p.top for p in drawn} == set(range(rows + 8 - S + 1))
    assert {p.left for p in drawn} == set(range(columns + 8 - S + 1))
    for places in ([p.top for p in drawn], [p.left for p in drawn]):  # all alike
        counts = np.bincount(places)
        expected = 3000 / len(counts)
        squares = ((counts - expected) ** 2 / expected).sum()
        assert squares < len(counts) + 4 * (2 * len(counts)) ** 0.5
    assert abs(np.corrcoef([(p.top, p.left) for p in drawn], rowvar=False)[0, 1]) < 4 / 3000**0.5


def test_along_x_only():
    crop = SimpleRandomCrop(S, axes='x')
    drawn = [crop.sample(S, 40) for _ in range(500)]
    assert {p.top for p in drawn} == {4}
    assert {p.left for p in drawn} == set(range(17))
    assert {crop.sample(2 * S, S).top for _ in range(20)} == {(S + 8) // 2}


def pillow(img, params):
    img = TF.resize(Image.fromarray(img), params.size, TF.InterpolationMode.BICUBIC)
    img = TF.pad(img, params.padding, padding_mode='reflect')
    return np.array(TF.crop(img, params.top, params.left, params.size, params.size))


@pytest.mark.parametrize(('height', 'width'), [(120, 160), (160, 120), (80, 80), (40, 50)])
def test_equals_the_official_steps(natural, apart, height, width):
    img, crop = natural(height, width), SimpleRandomCrop(80)
    for _ in range(15):
        params = crop.sample(height, width)
        theirs = pillow(img, params)
        np.testing.assert_array_equal(simple_random_crop(img, params, 'pillow'), theirs)
        largest, mean = apart(simple_random_crop(img, params), theirs)
        assert largest <= 2
        assert mean <= 0.01


@pytest.mark.parametrize('axes', [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize(('top', 'left'), [(-4, -4), (-2, 9), (7, 15), (0, 0), (5, -3), (7, 3)])
def test_window_is_cut_from_the_reflected_image(natural, axes, top, left):
    img = natural(30, 40)[:, :, axes]
    padded = np.pad(img, ((8, 8), (8, 8), (0, 0)), mode='reflect')
    window = reflected_window(img, top, left, 29)
    np.testing.assert_array_equal(window, padded[top + 8 : top + 37, left + 8 : left + 37])


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (2, 5), (1, 9), (3, 3)])
@pytest.mark.parametrize('size', [1, 3, 9])
def test_window_far_outside_a_small_image_is_reflected_repeatedly(height, width, size):
    img = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    padded = np.pad(img, 12, mode='reflect')
    for top in range(-6, height + 6 - size + 1):
        for left in range(-6, width + 6 - size + 1):
            window = padded[top + 12 : top + 12 + size, left + 12 : left + 12 + size]
            np.testing.assert_array_equal(reflected_window(img, top, left, size), window)


def test_box_in_the_source_image():
    inside = SimpleRandomCropParams((224, 298), 4, 4, 41, 224)
    assert inside.source_box(448, 596) == (74, 0, 522, 448)
    corner = SimpleRandomCropParams((224, 298), 4, 0, 0, 224)
    assert corner.source_box(448, 596) == (0, 0, 440, 440)
    with pytest.raises(FrozenInstanceError):
        corner.top = 1


def test_shows_three_quarters_of_a_photo_as_the_specification_says():
    x1, y1, x2, y2 = SimpleRandomCropParams((224, 298), 4, 4, 30, 224).source_box(375, 500)
    assert (x2 - x1) * (y2 - y1) / (375 * 500) == pytest.approx(0.75, abs=0.005)


def test_views_and_their_copies_give_the_same(natural):
    img, crop = natural(50, 60), SimpleRandomCrop(S)
    params = crop.sample(50, 60)
    view = img[:, ::-1]
    np.testing.assert_array_equal(
        simple_random_crop(view, params), simple_random_crop(view.copy(), params)
    )


def test_draw_comes_from_the_stream_of_numpy_and_can_be_shared():
    crop = SimpleRandomCrop(S)
    img = np.zeros((200, 300, 3), np.uint8)
    with cache_random_params(crop):
        first, second = crop.sample(200, 300), crop.sample(200, 300)
    assert first is second
    state = np.random.get_state()  # noqa: NPY002
    first = crop.sample(*img.shape[:2])
    np.random.set_state(state)  # noqa: NPY002
    assert crop.sample(200, 300) == first


def test_repr_and_pickle():
    text = "SimpleRandomCrop(crop_size=32, padding=4, axes='both', backend='torch')"
    assert repr(pickle.loads(pickle.dumps(SimpleRandomCrop(S)))) == text


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'crop_size': 0}, 'crop_size must be one positive integer, got 0'),
        ({'crop_size': (4, 4)}, r'crop_size must be one positive integer, got \(4, 4\)'),
        ({'padding': -1}, 'padding must be an integer of at least 0, got -1'),
        ({'axes': 'y'}, "axes must be one of both, x, got 'y'"),
        ({'backend': 'PIL'}, "backend must be one of torch, pillow, cv2, got 'PIL'"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        SimpleRandomCrop(**{'crop_size': S, **wrong})


def test_wrong_images():
    with pytest.raises(TypeError, match=r'SimpleRandomCrop takes .* uint8, got float64'):
        SimpleRandomCrop(S)({'img': np.zeros((9, 9, 3))})
    with pytest.raises(ValueError, match=r'SimpleRandomCrop takes .* got \(9, 9, 4\)'):
        SimpleRandomCrop(S)({'img': np.zeros((9, 9, 4), np.uint8)})
