from itertools import permutations

import cv2
import numpy as np
import pytest
import torchvision.transforms.functional as TF
from PIL import Image, ImageOps

from vit_plugins.datasets.transforms._pil_jitter import (
    ADJUSTMENTS,
    TRUNCATE,
    adjust,
    blend,
    saturation,
    solarize,
    to_grey,
)

FACTORS = (0.7, 0.83, 0.99, 1.0, 1.2, 1.3)
ORDERS = list(permutations(ADJUSTMENTS))


def bgr(img):
    return np.ascontiguousarray(img[:, :, ::-1])


def pillow(img, jitter):
    img = Image.fromarray(img)
    for name, factor in jitter:
        img = getattr(TF, f'adjust_{name}')(img, factor)
    return np.array(img)


@pytest.mark.parametrize('threshold', [0, 1, 100, 128, 200, 255, 256])
def test_solarize_is_exact(threshold):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    theirs = np.array(ImageOps.solarize(Image.fromarray(levels), threshold))
    np.testing.assert_array_equal(solarize(levels, threshold), theirs)


def test_grey_is_close_and_channels_matter(picture, apart):
    img = picture()
    theirs = np.array(Image.fromarray(img).convert('L'))
    largest, mean = apart(to_grey(bgr(img)), theirs)
    assert largest <= 1
    assert mean <= 0.01
    assert apart(to_grey(img), theirs)[0] >= 40  # RGB taken for BGR


@pytest.mark.parametrize('name', ADJUSTMENTS)
@pytest.mark.parametrize('factor', FACTORS)
def test_each_adjustment_is_close(picture, apart, name, factor):
    img = picture()
    ours = ADJUSTMENTS[name](bgr(img), factor)
    largest, mean = apart(bgr(ours), pillow(img, [(name, factor)]))
    assert largest <= 1
    assert mean <= 0.01


@pytest.mark.parametrize('other', [0, 1, 128, 255])
def test_the_faster_function_gives_the_same_levels(other):
    levels = np.resize(np.arange(256, dtype=np.uint8), (3, 259))  # a width that no vector divides
    for factor in np.random.default_rng(other).uniform(0, 2, 200):
        slower = cv2.addWeighted(levels, factor, levels, 0, (1 - factor) * other + TRUNCATE)
        np.testing.assert_array_equal(blend(levels, other, factor), slower)


@pytest.mark.parametrize('order', ORDERS)
def test_chains_in_any_order_are_close(picture, apart, order):
    rng = np.random.default_rng(0)
    for seed in range(3):
        img = picture(seed=seed)
        jitter = [(name, rng.uniform(0.7, 1.3)) for name in order]
        largest, mean = apart(bgr(adjust(bgr(img), jitter)), pillow(img, jitter))
        assert largest <= 4
        assert mean <= 0.01


@pytest.mark.parametrize('order', ORDERS)
def test_on_a_grey_image_one_channel_is_enough(natural, apart, order):
    grey = natural()[:, :, 0]
    jitter = list(zip(order, (0.8, 1.25, 0.75), strict=True))
    theirs = pillow(np.repeat(grey[:, :, None], 3, axis=2), jitter)
    assert apart(adjust(grey, jitter), theirs[:, :, 0])[0] <= 1


def test_saturation_notices_swapped_channels(smooth, apart):
    img = smooth()
    assert apart(saturation(img, 0.7), pillow(img, [('saturation', 0.7)]))[0] >= 8


def test_both_ways_to_blend_truncate_as_pillow_does(apart):
    """Each level under many factors: a rounding error would show in half of them."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(levels)
    wrong = 0
    for factor in np.random.default_rng(0).uniform(0.7, 1.3, 200):
        for written in (round(factor, 2), factor):
            theirs = np.array(TF.adjust_brightness(image, written))
            largest, mean = apart(blend(levels, 0, written), theirs)
            assert largest <= (written == factor)
            wrong += mean / 200
    assert wrong < 1e-3


def test_rounding_would_not_pass(natural, apart):
    img = natural()
    rounded = (0.83 * img).round().astype(np.uint8)
    assert apart(rounded, pillow(img, [('brightness', 0.83)]))[1] > 0.01


@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('channels', [slice(None), 0])
def test_results_are_reused_but_never_the_input(natural, order, channels):
    img = np.ascontiguousarray(natural(30, 30)[:, :, channels])
    kept = img.copy()
    jitter = list(zip(order, (0.8123456, 1.2512345, 0.7512345), strict=True))
    step = img
    for name, factor in jitter:
        step = ADJUSTMENTS[name](step, factor)
    np.testing.assert_array_equal(adjust(img, jitter), step)
    np.testing.assert_array_equal(img, kept)
