import numpy as np
import pytest
import torch
from mmpretrain.datasets import RandomErasing
from scipy import stats

from vit_plugins.datasets.seeds import hash64, image_seeds, uniforms
from vit_plugins.datasets.transforms.batch import BatchRandomErasing
from vit_plugins.datasets.transforms.batch._pixel_noise import STEP, pixel_noise

SETTINGS = {'min_area_ratio': 0.05, 'max_area_ratio': 0.5, 'aspect_range': (0.4, 2.5)}


def numbers(count, transform):
    return uniforms(image_seeds(0, 0, np.arange(count)), 0, transform.num_uniforms)


def test_rectangles_are_distributed_as_those_of_the_host():
    erasing = BatchRandomErasing(1.0, **SETTINGS)
    ours = erasing.sample(numbers(4000, erasing), (30, 50)).box.numpy()
    host = RandomErasing(1.0, **SETTINGS)
    theirs = np.array([host.random_patch(30, 50) for _ in range(4000)])
    for one, other in zip(ours.T, theirs.T, strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-3
    for boxes in (ours, theirs):
        assert boxes[:, :2].min() == 0
        ends = np.where(boxes[:, 2:] < [30, 50], boxes[:, :2] + boxes[:, 2:], 0)
        assert ends.max(0).tolist() == [29, 49]  # never the last place


@pytest.mark.parametrize('prob', [0.0, 0.25, 1.0])
def test_images_are_erased_as_often_as_asked(prob):
    erasing = BatchRandomErasing(prob)
    count = len(erasing.sample(numbers(4000, erasing), (8, 8)).which)
    assert stats.binomtest(count, 4000, prob).pvalue > 1e-3


@pytest.mark.parametrize('fill', [128, (10, 20.7, 30)])
def test_pixels_are_those_of_the_host(batch, image_of, fill):
    images = batch(12)
    host, ours = RandomErasing(fill_color=fill), BatchRandomErasing(fill_color=fill)
    params = ours.sample(numbers(12, ours), (40, 48))
    results = ours.apply(images, params)
    boxes = dict(zip(params.which.tolist(), params.box.tolist(), strict=True))
    assert 0 < len(boxes) < 12
    for place, (image, result) in enumerate(zip(images, results, strict=True)):
        expected = image_of(image).copy()
        if place in boxes:
            expected = host._fill_pixels(expected, *boxes[place])
        np.testing.assert_array_equal(image_of(result), expected)


def test_uniform_noise_is_that_of_the_host():
    values = filled({'mode': 'rand'}).ravel()
    counts = np.bincount(values, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3
    host = host_filled({'mode': 'rand'})
    assert stats.ks_2samp(values, host.ravel()).pvalue > 1e-3


def test_normal_noise_is_that_of_the_host():
    settings = {'mode': 'rand', 'fill_color': (20.0, 100.0, 200.0), 'fill_std': (30, 10, 50)}
    values, host = filled(settings), host_filled(settings)
    for channel in range(3):
        assert stats.ks_2samp(values[channel], host[channel]).pvalue > 1e-3


def filled(settings):
    """Return the noise of 20 images that are erased completely, a row for each channel."""
    erasing = BatchRandomErasing(1.0, 1.0, 1.0, 1.0, **settings)
    images = torch.zeros(20, 3, 30, 30, dtype=torch.uint8)
    noise = erasing(images, image_seeds(0, 0, np.arange(20)))
    assert len({image.numpy().tobytes() for image in noise}) == 20
    return noise.transpose(0, 1).flatten(1).numpy()


def host_filled(settings):
    host = RandomErasing(1.0, 1.0, 1.0, 1.0, **settings)
    return host._fill_pixels(np.zeros((200, 90, 3), np.uint8), 0, 0, 200, 90).reshape(-1, 3).T


def test_noise_of_the_device_is_the_generator_of_the_draws():
    seeds = np.array([0, 1, 2**53 - 1])
    counters = np.arange(1, 6, dtype=np.uint64) * np.uint64(STEP + 2**64)
    expected = hash64(seeds.astype(np.uint64)[:, None] + counters) >> np.uint64(41)
    found = pixel_noise(torch.from_numpy(seeds), 5).numpy()
    np.testing.assert_array_equal(found, (expected.astype(np.float64) + 0.5) * 2.0**-23)
    many = pixel_noise(torch.zeros(1, dtype=torch.int64), 100_000)
    assert many.min() > 0
    assert many.max() < 1
    assert stats.kstest(many[0].numpy(), 'uniform').pvalue > 1e-3


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'erase_prob': 2}, 'erase_prob must lie between 0 and 1, got 2'),
        ({'min_area_ratio': 0.5}, r'min_area_ratio <= max_area_ratio <= 1, got \(0.5'),
        ({'aspect_range': (2, 1)}, r'aspect_range must be .* got \(2, 1\)'),
        ({'aspect_range': -1}, r'aspect_range must be .* got \(-1,\)'),
        ({'mode': 'pixel'}, "mode must be 'const' or 'rand', got 'pixel'"),
        ({'fill_std': 3}, "fill_std has no effect with mode='const'"),
        ({'fill_color': (1, 2)}, r'fill_color must be one or three numbers .* got \(1, 2\)'),
        ({'fill_color': 256}, 'fill_color must be .* from 0 to 255, got 256'),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchRandomErasing(**arguments)


def test_repr():
    assert repr(BatchRandomErasing(0.25, mode='rand', fill_color=0, aspect_range=2)) == (
        'BatchRandomErasing(erase_prob=0.25, min_area_ratio=0.02, max_area_ratio=0.4, '
        "aspect_range=(0.5, 2.0), mode='rand', fill_color=(0.0, 0.0, 0.0), fill_std=None)"
    )
