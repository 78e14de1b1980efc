"""Each operation of the policies against the host's transform of one image."""

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.registry import TRANSFORMS

from vit_plugins.datasets.transforms.batch._policies import policy_of
from vit_plugins.datasets.transforms.batch._tones import equalize, sharpness
from vit_plugins.datasets.transforms.batch._warps import rotation, warp

# No strength at which a warp's place lies halfway between two pixels, nor a level between two.
TONES = [
    {'type': 'AutoContrast'},
    {'type': 'Equalize'},
    {'type': 'Invert'},
    {'type': 'Posterize', 'bits': 3},
    {'type': 'Posterize', 'bits': 1.2},
    {'type': 'Posterize', 'bits': 0},
    {'type': 'Posterize', 'bits': 8},
    {'type': 'Solarize', 'thr': 77.3},
    {'type': 'Solarize', 'thr': 256},
    {'type': 'SolarizeAdd', 'magnitude': 55.5},
    {'type': 'SolarizeAdd', 'magnitude': 100, 'thr': 60},
    *(
        {'type': name, 'magnitude': sign * 0.713}
        for name in ('Brightness', 'Contrast', 'ColorTransform', 'Sharpness')
        for sign in (1, -1)
    ),
]
WARPS = [
    {'type': 'Rotate', 'angle': 17.1},
    {'type': 'Rotate', 'angle': -133.4},
    {'type': 'Shear', 'magnitude': 0.2313},
    {'type': 'Shear', 'magnitude': -0.2934, 'direction': 'vertical'},
    {'type': 'Translate', 'magnitude': 0.213},
    {'type': 'Translate', 'magnitude': -0.337, 'direction': 'vertical'},
    {'type': 'Translate', 'magnitude': 2.0},  # nothing is left
]
FILL = (20, 128, 200)


def named(config):
    return ' '.join(str(value) for value in config.values())


def certain(config):
    """Build the host's transform so that it is always applied with its given strength."""
    signed = config['type'] in ('Brightness', 'Contrast', 'ColorTransform', 'Sharpness')
    signed = signed or config['type'] in ('Rotate', 'Shear', 'Translate')
    fixed = {'prob': 1.0, 'random_negative_prob': 0.0} if signed else {'prob': 1.0}
    return TRANSFORMS.build({**config, **fixed})


def differences(images, config, apart, image_of, order='bgr'):
    transform = certain(config)
    policy = policy_of(transform, order)
    assert policy.weakest == policy.strongest
    strength = torch.full((len(images),), float(policy.weakest))
    found = []
    for image, result in zip(images, policy.operation(images, strength), strict=True):
        expected = transform({'img': image_of(image).copy()})['img']
        found.append(apart(image_of(result), expected))
    return np.array(found).T


@pytest.mark.parametrize('config', TONES, ids=named)
def test_levels_are_those_of_the_host(batch, apart, image_of, config):
    worst, mean = differences(batch(4), config, apart, image_of)
    # in ColorTransform the host rounds where Pillow truncates: half a level on average; and
    # OpenCV's grey is not Pillow's
    limits = (2, 0.53) if config['type'] == 'ColorTransform' else (1, 0.2)
    assert worst.max() <= limits[0]
    assert mean.max() <= limits[1]


@pytest.mark.skipif(
    int(cv2.__version__.split('.')[0]) < 5,
    reason='OpenCV before 5 interpolates at places rounded to 1/32 of a pixel',
)
@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear', 'bicubic'])
@pytest.mark.parametrize('config', WARPS, ids=named)
def test_places_are_those_of_the_host(batch, apart, image_of, config, interpolation):
    config = {**config, 'interpolation': interpolation, 'pad_val': FILL}
    worst, mean = differences(batch(4), config, apart, image_of)
    assert worst.max() <= (0 if interpolation == 'nearest' else 4)
    assert mean.max() <= 0.1


@pytest.mark.parametrize('shape', [(33, 32), (40, 36)])
@pytest.mark.parametrize('angle', [90.0, -90.0, 45.0])
def test_places_halfway_do_not_depend_on_the_last_bit(batch, shape, angle):
    """A GPU's cosine may differ from that of a CPU in the last bit."""
    images, fill = batch(1, *shape), torch.tensor(FILL, dtype=torch.float32)
    maps = rotation(torch.tensor([angle]), *shape)
    expected = warp(images, maps, 'nearest', fill)
    for end in (-torch.inf, torch.inf):
        other = torch.nextafter(maps, torch.tensor(end))
        assert torch.equal(warp(images, other, 'nearest', fill), expected)


@pytest.mark.parametrize('name', ['Contrast', 'ColorTransform'])
def test_channel_order_matters_where_there_is_a_grey_image(name):
    blue = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)  # in BGR
    blue[:, 0] = 255
    transform = certain({'type': name, 'magnitude': -1.0})
    for order, level in (('bgr', 29), ('rgb', 76)):
        assert (policy_of(transform, order).operation(blue, torch.tensor([-1.0])) == level).all()


def test_rotation_fills_all_channels_with_one_number(batch):
    """The host's ``Rotate`` fills (128, 0, 0): OpenCV takes one number for the first channel."""
    policy = policy_of(certain({'type': 'Rotate', 'angle': 45.0}), 'bgr')
    rotated = policy.operation(batch(1), torch.tensor([45.0]))
    assert rotated[0, :, 0, 0].tolist() == [128] * 3


def test_constant_and_two_level_images():
    images = torch.full((3, 3, 4, 4), 7, dtype=torch.uint8)
    images[1, :, 0] = 9
    images[2] = torch.arange(48).view(3, 4, 4) * 5
    for config in ({'type': 'AutoContrast'}, {'type': 'Equalize'}):
        transform = certain(config)
        results = policy_of(transform, 'bgr').operation(images, torch.zeros(3))
        for image, result in zip(images, results, strict=True):
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
            expected = transform({'img': pixels})['img']
            np.testing.assert_array_equal(result.permute(1, 2, 0).numpy(), expected)


def test_one_channel_has_no_colour_but_contrast(batch):
    images = batch(2)[:, :1]
    results = {}
    for name in ('ColorTransform', 'Contrast'):
        policy = policy_of(certain({'type': name, 'magnitude': 0.7}), 'bgr')
        results[name] = policy.operation(images, torch.full((2,), 0.7))
    assert torch.equal(results['ColorTransform'], images)
    three = policy.operation(images.expand(-1, 3, -1, -1), torch.full((2,), 0.7))
    assert torch.equal(results['Contrast'], three[:, :1])
    assert not torch.equal(results['Contrast'], images)


def test_one_channel_and_one_pixel():
    images = torch.tensor([[[[5]]], [[[200]]]], dtype=torch.uint8)
    assert torch.equal(equalize(images, torch.zeros(2)), images)
    assert torch.equal(sharpness(images, torch.ones(2)), images)


@pytest.mark.parametrize(
    'config',
    [
        {'type': 'Cutout', 'shape': 3},
        {'type': 'Rotate', 'angle': 3.0, 'interpolation': 'lanczos'},
        {'type': 'Rotate', 'angle': 3.0, 'center': (0.0, 0.0)},
        {'type': 'Rotate', 'angle': 3.0, 'scale': 2.0},
    ],
    ids=named,
)
def test_what_has_no_batch_form_is_refused(config):
    with pytest.raises(
        ValueError, match=rf'no batch form of {config["type"]}.*types that have one'
    ):
        policy_of(TRANSFORMS.build(config), 'bgr')
