"""The rule in the metadata, followed with numpy and Pillow alone, equals the test transforms."""

import doctest

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from vit_plugins.inference import deployed, resize_rule

BICUBIC = dict(backend='pillow', interpolation='bicubic')
PIPELINES = {
    'edge and crop': [
        dict(type='ResizeEdge', scale=40, edge='short', **BICUBIC),
        dict(type='CenterCrop', crop_size=33),
    ],
    'long edge': [dict(type='ResizeEdge', scale=50, edge='long', **BICUBIC)],
    'height': [dict(type='ResizeEdge', scale=31, edge='height', backend='pillow')],
    'two sides': [dict(type='Resize', scale=(48, 20), backend='pillow', interpolation='box')],
    'one side': [dict(type='Resize', scale=24)],
    'half': [dict(type='Resize', scale=(35, 26))],
    'fit': [dict(type='Resize', scale=(64, 30), keep_ratio=True)],
    'crop alone': [dict(type='CenterCrop', crop_size=(80, 31))],
    'enlarged': [dict(type='mmpretrain.Resize', scale=150)],
}
PHOTOS = [(52, 70), (70, 52), (61, 61)]


def compose(pipeline):
    return Compose([TRANSFORMS.build(step) for step in pipeline])


def photo(height, width):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('size', PHOTOS)
@pytest.mark.parametrize('name', PIPELINES)
def test_pixels_are_those_of_the_test_transforms(name, size):
    pixels = photo(*size)
    expected = compose(PIPELINES[name])({'img': pixels})['img']
    found = deployed.apply_rule(pixels, resize_rule.resize_rule(PIPELINES[name]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('scale', [16, 40, (90, 120)])
def test_bicubic_of_opencv_is_off_by_a_grey_level_in_few_pixels(scale):
    pipeline = [dict(type='Resize', scale=scale, interpolation='bicubic')]
    pixels = photo(61, 52)
    expected = compose(pipeline)({'img': pixels})['img'].astype(int)
    difference = abs(deployed.apply_rule(pixels, resize_rule.resize_rule(pipeline)) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 2e-3


def test_which_rules_fix_the_size():
    fixed = {n: resize_rule.fixed_size(resize_rule.resize_rule(p)) for n, p in PIPELINES.items()}
    assert fixed['edge and crop'] == (33, 33)
    assert fixed['two sides'] == (20, 48)  # height, width
    assert fixed['fit'] is fixed['long edge'] is None
    assert resize_rule.fixed_size([]) is None


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        (dict(type='torchvision/RandomAffine', degrees=3), 'RandomAffine.*cannot describe'),
        (dict(type='Resize', scale=8, interpolation='area'), "'area' of 'cv2'.*backend='pillow'"),
        (dict(type='Resize', scale_factor=2.0), 'has no scale'),
    ],
)
def test_what_no_rule_describes_is_refused(step, message):
    with pytest.raises(ValueError, match=message):
        resize_rule.resize_rule([dict(type='LoadPhoto'), step, dict(type='PackInputs')])


@pytest.mark.parametrize('order', ['rgb', 'bgr', 'grey'])
def test_a_photo_is_read_upright_and_on_white(tmp_path, order):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:2] = 255, 0, 0, 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    Image.fromarray(pixels).save(tmp_path / 'x.png', exif=exif)
    found = deployed.read_photo(tmp_path / 'x.png', order)
    assert (found[:2] == 255).all()  # what was transparent, now above
    red = {'rgb': [255, 0, 0], 'bgr': [0, 0, 255], 'grey': [76]}[order]
    assert found[3, 0].tolist() == red


def test_doctests():
    assert doctest.testmod(resize_rule).failed == 0
