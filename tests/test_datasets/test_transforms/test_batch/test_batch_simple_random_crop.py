from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from vit_plugins.datasets.transforms import SimpleRandomCrop
from vit_plugins.datasets.transforms.batch import BatchSimpleRandomCrop
from vit_plugins.datasets.transforms.batch._resampling import resample, resampling_matrix
from vit_plugins.datasets.transforms.batch._windows import cut_windows, reflected
from vit_plugins.datasets.transforms.simple_random_crop import simple_random_crop

SHAPES = [(32, 32), (40, 48), (45, 33), (64, 64)]


def drawn(transform, row, *shape):
    """Sample the parameters of the transform of one image from given numbers."""
    with patch('numpy.random.rand', return_value=np.array(row)):
        return transform.sample(*shape)


@pytest.mark.parametrize('axes', ['both', 'x'])
@pytest.mark.parametrize('shape', SHAPES)
def test_same_numbers_same_crops_as_one_image_at_a_time(batch, image_of, shape, axes):
    images = batch(6, *shape)
    numbers = np.random.default_rng(0).random((6, 3))
    numbers[:2] = [[0.0], [1 - 2**-53]]  # the corners
    single = SimpleRandomCrop(32, axes=axes)
    several = BatchSimpleRandomCrop(32, axes=axes, flip_prob=0.5)
    crops = several.apply(images, several.sample(numbers, shape))
    assert crops.shape == (6, 3, 32, 32)
    assert 0 < (numbers[:, 2] < 0.5).sum() < 6
    for image, crop, row in zip(images, crops, numbers, strict=True):
        params = drawn(single, row[:2], *shape)
        expected = simple_random_crop(image_of(image), params)
        expected = expected[:, ::-1] if row[2] < 0.5 else expected
        np.testing.assert_array_equal(image_of(crop), expected)


@pytest.mark.parametrize('shape', [(40, 48), (90, 75), (24, 20)])
def test_products_of_the_gpu_resize_as_pillow(batch, image_of, apart, shape):
    images = batch(3, *shape)
    start = torch.zeros(1)
    rows, columns = (
        resampling_matrix(start, torch.full((1,), float(side)), 32, side) for side in shape
    )
    for image, resized in zip(images, resample(images, rows, columns), strict=True):
        pillow = Image.fromarray(image_of(image)).resize((32, 32), Image.Resampling.BICUBIC)
        worst, mean = apart(image_of(resized), np.array(pillow))
        assert worst <= 1
        assert mean < 0.002


def test_windows_reflect_without_repeating_the_edge():
    line = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4)
    columns = reflected(torch.arange(-3, 7)[None], 4)
    window = cut_windows(line, torch.zeros(1, 1, dtype=torch.int64), columns)
    assert window.flatten().tolist() == np.pad(np.arange(4), 3, mode='reflect').tolist()
    assert reflected(torch.arange(-2, 3), 1).tolist() == [0] * 5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'crop_size': 0}, 'crop_size must be one positive integer, got 0'),
        ({'crop_size': 8, 'padding': -1}, 'padding must be an integer of at least 0, got -1'),
        ({'crop_size': 8, 'axes': 'y'}, "axes must be one of both, x, got 'y'"),
        ({'crop_size': 8, 'flip_prob': 2}, 'flip_prob must lie between 0 and 1, got 2'),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchSimpleRandomCrop(**arguments)


def test_repr():
    expected = "BatchSimpleRandomCrop(crop_size=8, padding=4, axes='both', flip_prob=0.5)"
    assert repr(BatchSimpleRandomCrop(8, flip_prob=0.5)) == expected
