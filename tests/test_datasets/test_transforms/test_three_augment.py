import pickle
import warnings
from collections import Counter
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from mmcv.transforms import Compose
from mmcv.transforms.utils import cache_random_params
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter, ImageOps

from vit_plugins.datasets.transforms import SimpleRandomCrop, ThreeAugment
from vit_plugins.datasets.transforms.simple_random_crop import simple_random_crop
from vit_plugins.datasets.transforms.three_augment import ThreeAugmentParams, three_augment

JITTER = (('contrast', 1.271), ('saturation', 0.713), ('brightness', 0.839))
MEMBERS = {
    'grayscale': ThreeAugmentParams('grayscale', jitter=JITTER),
    'solarize': ThreeAugmentParams('solarize', threshold=128, jitter=JITTER),
    'blur': ThreeAugmentParams('blur', radius=1.3, jitter=JITTER),
    'identity': ThreeAugmentParams('identity', jitter=JITTER),
}


def pillow(img, params):
    """Return the image after the official steps behind the crop, in Pillow and torchvision."""
    img = TF.hflip(img) if params.flip else img
    if params.member == 'grayscale':
        img = TF.to_grayscale(img, 3)
    elif params.member == 'solarize':
        img = ImageOps.solarize(img, params.threshold)
    elif params.member == 'blur':
        img = img.filter(ImageFilter.GaussianBlur(params.radius))
    for name, factor in params.jitter:
        img = getattr(TF, f'adjust_{name}')(img, factor)
    return np.array(img)


def test_draws_are_distributed_as_officially():
    augment = ThreeAugment()
    drawn = [augment.sample() for _ in range(3000)]
    counts = Counter(params.member for params in drawn)
    assert set(counts) == {'grayscale', 'solarize', 'blur'}  # never none
    assert all(abs(n - 1000) <= 3 * (3000 * 2 / 9) ** 0.5 for n in counts.values())
    for params in drawn:  # never two
        assert (params.radius is not None) == (params.member == 'blur')
        assert params.threshold == (128 if params.member == 'solarize' else None)
        assert not params.flip
    orders = Counter(tuple(name for name, _ in params.jitter) for params in drawn)
    assert len(orders) == 6
    assert all(abs(n - 500) <= 4 * (3000 * 5 / 36) ** 0.5 for n in orders.values())
    factors = np.array(
        [[dict(params.jitter)[name] for name in sorted(dict(JITTER))] for params in drawn]
    )
    assert factors.min() >= 0.7
    assert factors.max() <= 1.3
    np.testing.assert_allclose(factors.mean(0), 1, atol=0.02)
    np.testing.assert_allclose(factors.std(0), 0.6 / 12**0.5, atol=0.01)


def test_draws_of_one_image_are_independent():
    augment = ThreeAugment(flip_prob=0.5, blur_radius=(0.5, 0.5))
    rows = []
    for _ in range(3000):
        params = augment.sample()
        names, factors = zip(*params.jitter, strict=True)
        members = [params.member == member for member in ('grayscale', 'solarize')]
        first = [names[0] == name for name in ('brightness', 'contrast')]
        rows.append([*members, *first, params.flip, *factors])
    related = np.corrcoef(np.array(rows, float), rowvar=False) - np.eye(8)
    related[[0, 1, 2, 3], [1, 0, 3, 2]] = 0  # an image has one member, an order one first name
    assert np.abs(related).max() < 4.5 / 3000**0.5


def test_radii_are_uniform():
    augment = ThreeAugment()
    drawn = [augment.sample().radius for _ in range(3000)]
    radii = np.array([radius for radius in drawn if radius is not None])
    assert radii.min() >= 0.1
    assert radii.max() <= 2.0
    assert radii.mean() == pytest.approx(1.05, abs=0.06)
    assert np.histogram(radii, 4, (0.1, 2.0))[0].min() > 200


@pytest.mark.parametrize('member', ['grayscale', 'solarize', 'blur'])
def test_whole_pipeline_is_close_to_pillow(picture, apart, member):
    """Crop, flip, operation and jitter; 30 samples per type of image, as for the limits."""
    crop, augment = SimpleRandomCrop(224), ThreeAugment(members=[member], flip_prob=0.5)
    images = [picture(375, 500, seed) for seed in range(3)]
    found = []
    for i in range(30):
        img = images[i % 3]
        window, params = crop.sample(375, 500), augment.sample()
        ours = augment.apply(simple_random_crop(img[:, :, ::-1], window), params)
        theirs = TF.resize(Image.fromarray(img), 224, TF.InterpolationMode.BICUBIC)
        theirs = TF.pad(theirs, 4, padding_mode='reflect')
        theirs = pillow(TF.crop(theirs, window.top, window.left, 224, 224), params)
        found.append(apart(ours[:, :, ::-1], theirs))
    largest, mean = np.transpose(found)
    assert largest.max() <= (20 if member == 'blur' else 6)
    assert mean.mean() <= (0.6 if member == 'blur' else 0.03)


@pytest.mark.parametrize('member', MEMBERS)
def test_wrong_order_of_channels_is_noticed(smooth, apart, member):
    img, params = smooth(), MEMBERS[member]
    theirs = pillow(Image.fromarray(img), params)
    right, wrong = three_augment(img[:, :, ::-1], params), three_augment(img, params)
    limits = (20, 0.6) if member == 'blur' else (6, 0.03)
    assert np.less_equal(apart(right[:, :, ::-1], theirs), limits).all()
    assert np.greater(apart(wrong, theirs), limits).any()


VIEWS = {
    'mirrored': lambda x: x[:, ::-1],
    'turned': lambda x: x[::-1, ::-1],
    'part': lambda x: x[1:, 2:],
    'every second': lambda x: x[::2, ::2],
    'planes': lambda x: np.asfortranarray(x),
}


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('channels', [(), (1,), (3,)])
@pytest.mark.parametrize('member', MEMBERS)
def test_any_view_read_only_and_any_number_of_channels(natural, view, channels, member):
    img = natural(21, 34)
    img = np.ascontiguousarray(img[:, :, 0] if not channels else img[:, :, : channels[0]])
    img = VIEWS[view](img)
    img.flags.writeable = False
    for flip in (False, True):
        params = replace(MEMBERS[member], flip=flip)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            out = three_augment(img, params)
        assert out.shape == img.shape
        expected = three_augment(np.array(img[:, ::-1] if flip else img), MEMBERS[member])
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 1), (1, 1, 1), (1, 9, 3), (9, 1, 3), (2, 2)])
@pytest.mark.parametrize('member', MEMBERS)
def test_any_size(apart, shape, member):
    img = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    out = three_augment(img, MEMBERS[member])
    colour = img if shape[2:] == (3,) else np.repeat(img.reshape(*shape[:2], 1), 3, axis=2)
    theirs = pillow(Image.fromarray(np.ascontiguousarray(colour[:, :, ::-1])), MEMBERS[member])
    theirs = theirs[:, :, ::-1] if shape[2:] == (3,) else theirs[:, :, :1].reshape(shape)
    assert apart(out, theirs)[0] <= 20


@pytest.mark.parametrize('member', ['grayscale', 'identity'])
def test_one_channel_is_what_three_equal_ones_are(natural, apart, member):
    grey = natural(40, 50)[:, :, 0]
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    ours = three_augment(grey, MEMBERS[member])
    assert apart(ours, three_augment(colour, MEMBERS[member])[:, :, 0])[0] <= 1


def test_input_is_left_alone(natural):
    img = natural(20, 20)
    kept = img.copy()
    for params in MEMBERS.values():
        three_augment(img, params)
    np.testing.assert_array_equal(img, kept)


@pytest.mark.parametrize('shape', [(7, 5, 3), (7, 5, 1), (1, 1, 3)])
def test_result_lies_in_planes(shape):
    img = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    out = three_augment(img, ThreeAugmentParams())
    np.testing.assert_array_equal(out, img)
    assert out.transpose(2, 0, 1).flags.c_contiguous
    assert not np.shares_memory(out, img)


PIPELINE = [
    dict(type='SimpleRandomCrop', crop_size=32),
    dict(type='RandomFlip', prob=1.0),
    dict(type='ThreeAugment', flip_prob=1.0),
    dict(type='PackInputs'),
]


@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_in_a_pipeline_of_the_host(natural, channels):
    img = natural(40, 50)
    img = img[:, :, 0] if not channels else img[:, :, : channels[0]]
    packed = Compose(PIPELINE)({'img': img, 'gt_label': 1})
    assert packed['inputs'].shape == (*(channels or (1,)), 32, 32)
    assert packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].is_contiguous()
    assert packed['data_samples'].img_shape == (32, 32)
    assert packed['data_samples'].flip is False  # flipped twice


def test_own_flip_is_that_of_the_host(natural):
    img, settings = natural(20, 30), dict(members=(), color_jitter=None)
    results = ThreeAugment(**settings, flip_prob=1.0)({'img': img})
    theirs = TRANSFORMS.build(dict(type='RandomFlip', prob=1.0))({'img': img})
    np.testing.assert_array_equal(results['img'], theirs['img'])
    assert (results['flip'], results['flip_direction']) == (True, 'horizontal')
    augment = ThreeAugment(**settings, flip_prob=0.5)
    flips = [augment({'img': img})['flip'] for _ in range(400)]
    assert sum(flips) == pytest.approx(200, abs=40)
    assert 'flip' not in ThreeAugment()({'img': img})  # left to the host's transform


def test_other_members_and_weights(natural):
    augment = ThreeAugment(['blur', dict(type='Posterize', bits=3, prob=1.0)], weights=(1, 3))
    counts = Counter(augment.sample().member for _ in range(800))
    assert counts['Posterize'] == pytest.approx(600, abs=40)
    img = natural(20, 30)
    posterized = augment.apply(img, ThreeAugmentParams('Posterize', flip=True))
    np.testing.assert_array_equal(posterized, img[:, ::-1] & 0b11100000)
    assert "'blur', Posterize(bits=3" in repr(augment)
    augment = ThreeAugment(weights=(0, 1, 0))
    assert {augment.sample().member for _ in range(50)} == {'solarize'}


def test_members_of_the_host_do_not_write_into_the_input(natural):
    erase = dict(type='RandomErasing', erase_prob=1.0, fill_color=(1, 2, 3))
    augment, img = ThreeAugment([erase], color_jitter=None), natural(20, 30)
    kept = img.copy()
    img.flags.writeable = False
    assert (augment({'img': img})['img'] != kept).any()
    np.testing.assert_array_equal(img, kept)


@pytest.mark.parametrize('off', [None, 0, 0.0])
def test_parts_can_be_left_out(natural, off):
    img = natural(20, 30)
    alone = ThreeAugment(members=['solarize'], color_jitter=off)
    assert alone.sample() == ThreeAugmentParams('solarize', threshold=128)
    jitter = ThreeAugment(members=())
    jitter = jitter.sample()
    assert jitter.member == 'identity'
    assert len(jitter.jitter) == 3
    nothing = ThreeAugment(members=(), color_jitter=off)
    np.testing.assert_array_equal(nothing({'img': img})['img'], img)


def test_factors_are_never_negative():
    augment = ThreeAugment(color_jitter=2.0)
    factors = [factor for _ in range(200) for _, factor in augment.sample().jitter]
    assert 0 <= min(factors) < 0.1
    assert 2.9 < max(factors) <= 3


def test_settings_reach_the_draw():
    augment = ThreeAugment(['solarize'], solarize_threshold=77)
    assert augment.sample().threshold == 77
    augment = ThreeAugment(['blur'], blur_radius=(3, 3))
    assert augment.sample().radius == 3


def test_draw_comes_from_the_stream_of_numpy_and_can_be_shared():
    augment = ThreeAugment()
    with cache_random_params(augment):
        first, second = augment.sample(), augment.sample()
    assert first is second
    state = np.random.get_state()  # noqa: NPY002
    first = [augment.sample() for _ in range(5)]
    np.random.set_state(state)  # noqa: NPY002
    assert [augment.sample() for _ in range(5)] == first
    with pytest.raises(FrozenInstanceError):
        first[0].member = 'blur'


def test_repr_and_pickle():
    text = (
        "ThreeAugment(members=('grayscale', 'solarize', 'blur'), weights=None, color_jitter=0.3, "
        'solarize_threshold=128, blur_radius=(0.1, 2.0), flip_prob=0.0)'
    )
    assert repr(ThreeAugment()) == text
    again = pickle.loads(pickle.dumps(ThreeAugment([dict(type='Equalize', prob=1.0)])))
    assert again.sample().member == 'Equalize'


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'members': ['gray']}, r"members must be among \('grayscale', .*configs, got 'gray'"),
        ({'members': ['blur', 'blur']}, r"once, got \('blur', 'blur'\); use weights"),
        ({'weights': [1, 1]}, r'weights must be 3 numbers, one per member.* got \(1, 1\)'),
        ({'weights': [1, 1, -1]}, r'none negative .* got \(1, 1, -1\)'),
        ({'weights': [0, 0, 0]}, r'not all zero, got \(0, 0, 0\)'),
        ({'members': (), 'weights': ()}, r'weights must be 0 numbers'),
        (
            {'members': [dict(type='Posterize', bits=b, prob=1.0) for b in (2, 3)]},
            r"once, got \('Posterize', 'Posterize'\).* RandomChoice for one transform",
        ),
        ({'color_jitter': -0.1}, 'color_jitter must be None or at least 0, got -0.1'),
        ({'color_jitter': (0.3, 0.3)}, r'color_jitter must be .* got \(0.3, 0.3\)'),
        ({'color_jitter': '0.3'}, 'color_jitter must be .* got 0.3'),
        ({'solarize_threshold': 300}, 'must lie between 0 and 256, got 300'),
        ({'blur_radius': (2, 1)}, r'\(lowest, highest\) with 0 <= lowest, got \(2, 1\)'),
        ({'blur_radius': (-1, 1)}, r'got \(-1, 1\)'),
        ({'blur_radius': (1, 2, 3)}, r'got \(1, 2, 3\)'),
        ({'blur_radius': 1.5}, r'\(lowest, highest\) .* got \(1.5,\)'),
        ({'members': 'blur'}, r"a list of names, got 'blur'; write \['blur'\]"),
        ({'flip_prob': 1.1}, 'flip_prob must lie between 0 and 1, got 1.1'),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        ThreeAugment(**wrong)


def test_wrong_images_and_members():
    with pytest.raises(TypeError, match=r'ThreeAugment takes .* uint8, got float32'):
        ThreeAugment()({'img': np.zeros((9, 9, 3), np.float32)})
    with pytest.raises(ValueError, match=r'ThreeAugment takes .* got \(9, 9, 4\)'):
        ThreeAugment()({'img': np.zeros((9, 9, 4), np.uint8)})
    with pytest.raises(ValueError, match=r"got 'Posterize'; for a transform of the host"):
        three_augment(np.zeros((9, 9), np.uint8), ThreeAugmentParams('Posterize'))


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        (None, 'horizontal'),
        ('horizontal', None),
        ('vertical', 'diagonal'),
        ('diagonal', 'vertical'),
    ],
)
def test_what_is_told_of_a_second_flip(before, after):
    img = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    results = {'img': img, 'flip': before is not None, 'flip_direction': before}
    found = ThreeAugment((), color_jitter=None, flip_prob=1.0)(results)
    assert (found['flip'], found['flip_direction']) == (after is not None, after)
    assert (found['img'] == img[:, ::-1]).all()
