from unittest.mock import patch

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image, ImageFilter, ImageOps

from vit_plugins.datasets.transforms import ThreeAugment
from vit_plugins.datasets.transforms._pil_blur import box_kernel
from vit_plugins.datasets.transforms.batch import BatchThreeAugment
from vit_plugins.datasets.transforms.batch._blurs import blur, box_halves
from vit_plugins.datasets.transforms.batch._colours import mean_level
from vit_plugins.datasets.transforms.batch.batch_three_augment import NAMES, STEPS

SETTINGS = [
    {},
    {'color_jitter': None, 'flip_prob': 0.5},
    {'members': ('solarize', 'identity', 'blur'), 'weights': (1, 0, 3), 'color_jitter': 1.5},
    {'members': (), 'blur_radius': (0.0, 0.5), 'solarize_threshold': 40},
]


def drawn(transform, row):
    """Sample the parameters of the transform of one image from given numbers."""
    with patch('numpy.random.rand', return_value=np.array(row)):
        return transform.sample()


def pillow(image, params, place):
    """Return one image of a batch after its sampled steps, in Pillow and torchvision."""
    name = NAMES[params.member[place]]
    if params.flip is not None and params.flip[place]:
        image = ImageOps.mirror(image)
    if name == 'grayscale':
        image = TF.to_grayscale(image, 3)
    elif name == 'solarize':
        image = ImageOps.solarize(image, params.threshold)
    elif name == 'blur':
        image = image.filter(ImageFilter.GaussianBlur(float(params.radius[place])))
    for step, factor in zip(params.steps[place], params.factors[place], strict=True):
        image = getattr(TF, f'adjust_{STEPS[step]}')(image, float(factor))
    return np.array(image)


@pytest.mark.parametrize('settings', SETTINGS)
def test_same_numbers_same_draws_as_one_image_at_a_time(settings):
    numbers = np.random.default_rng(0).random((200, 7))
    numbers[:2] = [[0.0], [1 - 2**-53]]
    single, several = ThreeAugment(**settings), BatchThreeAugment(**settings)
    params = several.sample(numbers, (8, 8))
    for place, row in enumerate(numbers):
        expected = drawn(single, row)
        assert NAMES[params.member[place]] == expected.member
        assert (params.flip is not None and bool(params.flip[place])) == expected.flip
        assert expected.threshold in (None, params.threshold)
        assert expected.radius in (None, float(params.radius[place]))
        names, factors = zip(*expected.jitter, strict=True) if expected.jitter else ((), ())
        assert tuple(STEPS[step] for step in params.steps[place]) == names
        np.testing.assert_allclose(params.factors[place], factors, rtol=1e-6)


LIMITS = {'grayscale': (3, 0.005), 'solarize': (4, 0.006), 'blur': (11, 0.4)}


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
@pytest.mark.parametrize('member', list(LIMITS))
def test_pixels_are_close_to_pillow(batch, apart, image_of, member, order):
    """Within the limits that the specification measured for the transforms of one image."""
    images = batch(12, 96, 80)
    augment = BatchThreeAugment(members=[member], flip_prob=0.5, channel_order=order)
    params = augment.sample(np.random.default_rng(0).random((12, 7)), (96, 80))
    found = []
    for place, result in enumerate(augment.apply(images, params)):
        turn = slice(None, None, -1 if order == 'bgr' else 1)
        image = Image.fromarray(np.ascontiguousarray(image_of(images[place])[:, :, turn]))
        found.append(apart(image_of(result)[:, :, turn], pillow(image, params, place)))
    worst, mean = np.array(found).T
    assert worst.max() <= LIMITS[member][0]
    assert mean.mean() <= LIMITS[member][1]


@pytest.mark.parametrize('member', list(LIMITS))
def test_pixels_are_close_to_one_image_at_a_time(batch, apart, image_of, member):
    images = batch(10, 64, 56)
    numbers = np.random.default_rng(1).random((10, 7))
    # the blur of one image leaves Pillow's within 8 pixels of the border, as its limits say
    inside, limits = slice(None), LIMITS[member]
    settings = {'members': [member], 'flip_prob': 0.5}
    if member == 'blur':
        inside, limits, settings['color_jitter'] = slice(8, -8), (3, 0.4), None
    single, several = ThreeAugment(**settings), BatchThreeAugment(**settings)
    results = several.apply(images, several.sample(numbers, (64, 56)))
    found = []
    for image, result, row in zip(images, results, numbers, strict=True):
        expected = single.apply(image_of(image), drawn(single, row))
        found.append(apart(image_of(result)[inside, inside], expected[inside, inside]))
    worst, mean = np.array(found).T
    assert worst.max() <= limits[0]
    assert mean.mean() <= limits[1]


def test_wrong_channel_order_is_seen(batch, apart, image_of):
    images = batch(4)
    numbers = np.zeros((4, 7))  # grayscale
    bgr, rgb = (
        BatchThreeAugment(channel_order=order, color_jitter=None) for order in ('bgr', 'rgb')
    )
    one, other = (t.apply(images, t.sample(numbers, (40, 48))) for t in (bgr, rgb))
    assert max(apart(image_of(a), image_of(b))[0] for a, b in zip(one, other, strict=True)) > 10


def test_one_channel_is_only_blurred_inverted_brightened_and_contrasted(batch):
    images = batch(6)[:, :1]
    augment = BatchThreeAugment()
    params = augment.sample(np.random.default_rng(0).random((6, 7)), (40, 48))
    three = augment.apply(images.expand(-1, 3, -1, -1).contiguous(), params)
    assert torch.equal(augment.apply(images, params), three[:, :1])


@pytest.mark.parametrize('radii', [[0.1, 2.0], [0.3, 1.41, 1.42, 4.0], []])
def test_boxes_are_those_of_one_image_at_a_time(radii):
    boxes = box_halves(np.array(radii))
    assert len(boxes) == len(radii)
    for row, radius in zip(boxes.numpy(), radii, strict=True):
        expected = box_kernel(radius)[len(box_kernel(radius)) // 2 :]
        np.testing.assert_allclose(row[: len(expected)], expected, atol=1e-6)
        assert not row[len(expected) :].any()


@pytest.mark.parametrize('radius', [0.1, 0.3, 0.9, 1.3, 1.5, 1.9, 3.3])
def test_blur_is_that_of_pillow_up_to_the_border(batch, apart, image_of, radius):
    images = batch(2, 30, 40)
    for image, result in zip(images, blur(images, box_halves(np.full(2, radius))), strict=True):
        pillow = Image.fromarray(image_of(image)).filter(ImageFilter.GaussianBlur(radius))
        worst, mean = apart(image_of(result), np.array(pillow))
        assert worst <= 2
        assert mean < 0.1


def test_blur_of_radius_0_changes_nothing(batch):
    images = batch(2)
    assert torch.equal(blur(images, box_halves(np.zeros(2))), images)


def test_mean_of_a_large_image_is_exact():
    levels = torch.full((1, 1, 700, 700), 255.0)
    levels[..., ::2] = 254
    assert mean_level(levels).item() == 255  # 254.5, half up


def test_batch_is_not_written_to(batch, seeds):
    images = batch(9)
    before = images.clone()
    BatchThreeAugment(flip_prob=0.5)(images, seeds(9))
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'members': ['sepia']}, "members must be among .* got 'sepia'"),
        ({'members': [{'type': 'Invert'}]}, 'members of BatchThreeAugment must be names'),
        ({'members': 'blur'}, r"members must be a list of names, got 'blur'; write \['blur'\]"),
        ({'weights': [1]}, 'weights must be 3 numbers'),
        ({'color_jitter': -1}, 'color_jitter must be None or at least 0, got -1'),
        ({'solarize_threshold': 300}, 'solarize_threshold must lie between 0 and 256, got 300'),
        ({'blur_radius': (2, 1)}, 'blur_radius must be'),
        ({'flip_prob': 2}, 'flip_prob must lie between 0 and 1, got 2'),
        ({'channel_order': 'gbr'}, "channel_order must be one of .* got 'gbr'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchThreeAugment(**arguments)


def test_repr():
    text = repr(BatchThreeAugment(color_jitter=0.2, channel_order='rgb'))
    assert text.startswith("BatchThreeAugment(members=('grayscale', 'solarize', 'blur'), ")
    assert text.endswith("flip_prob=0.0, channel_order='rgb')")
