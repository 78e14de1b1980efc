from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.datasets import RandomResizedCrop
from PIL import Image
from scipy import stats

from vit_plugins.datasets.seeds import image_seeds, uniforms
from vit_plugins.datasets.transforms.batch import BatchRandomResizedCrop
from vit_plugins.datasets.transforms.batch import _resampling as resampling

PILLOW = {'bilinear': Image.Resampling.BILINEAR, 'bicubic': Image.Resampling.BICUBIC}


def numbers(count, transform):
    return uniforms(image_seeds(0, 0, np.arange(count)), 0, transform.num_uniforms)


def cut(image, box):
    top, left, height, width = box
    return np.ascontiguousarray(image[top : top + height, left : left + width])


@pytest.mark.parametrize(
    ('shape', 'settings'),
    [
        ((32, 32), {}),
        ((60, 20), {'crop_ratio_range': (0.2, 1.0)}),  # most attempts do not fit
        ((20, 40), {'crop_ratio_range': (0.4, 1.0), 'max_attempts': 2}),
    ],
)
def test_crops_are_distributed_as_those_of_the_host(shape, settings):
    ours, host = BatchRandomResizedCrop(8, **settings), RandomResizedCrop(8, **settings)
    boxes = ours.sample(numbers(4000, ours), shape).box.numpy()
    image = np.zeros((*shape, 3), np.uint8)
    theirs = np.array([host.rand_crop_params(image) for _ in range(4000)])
    for one, other in zip(boxes.T, theirs.T, strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-3
    assert boxes[:, :2].min() == 0
    assert (boxes[:, :2] + boxes[:, 2:]).max(0).tolist() == list(shape)  # the last place is one


def test_fallback_is_that_of_the_host():
    for shape in ((60, 20), (20, 60), (30, 32)):
        ours, host = (
            kind(8, aspect_ratio_range=(0.8, 1.2), max_attempts=0)
            for kind in (BatchRandomResizedCrop, RandomResizedCrop)
        )
        box = ours.sample(numbers(2, ours), shape).box[0].tolist()
        assert box == list(host.rand_crop_params(np.zeros((*shape, 3), np.uint8)))


@pytest.mark.parametrize('interpolation', list(PILLOW))
@pytest.mark.parametrize('scale', [32, (20, 40)])
def test_pixels_are_those_of_pillow(batch, apart, image_of, interpolation, scale):
    images = batch(20)
    crop = BatchRandomResizedCrop(scale, interpolation=interpolation, flip_prob=0.5)
    params = crop.sample(numbers(20, crop), (40, 48))
    height, width = crop.scale
    results = crop.apply(images, params)
    assert results.shape == (20, 3, height, width)
    for image, result, box, flip in zip(images, results, params.box, params.flip, strict=True):
        part = Image.fromarray(cut(image_of(image), box.tolist()))
        # some versions of Pillow begin with the height where that is cheaper
        resized = part.resize((width, part.height), PILLOW[interpolation])
        expected = np.array(resized.resize((width, height), PILLOW[interpolation]))
        worst, mean = apart(image_of(result), expected[:, ::-1] if flip else expected)
        assert worst <= 1
        # levels halfway between two are frequent with linear weights
        assert mean < (0.02 if interpolation == 'bicubic' else 0.3)


def test_without_antialiasing_pixels_are_those_of_opencv(batch, apart, image_of):
    images = batch(20)
    crop = BatchRandomResizedCrop(24, antialias=False)
    params = crop.sample(numbers(20, crop), (40, 48))
    for image, result, box in zip(images, crop.apply(images, params), params.box, strict=True):
        expected = cv2.resize(cut(image_of(image), box.tolist()), (24, 24))
        worst, mean = apart(image_of(result), expected)
        assert worst <= 1
        assert mean < 0.3  # as above


def test_split_weights_give_whole_precision(batch, monkeypatch):
    """The GPU replacement of one product, with factors rounded as by TF32 or bfloat16."""
    images = batch(6)
    crop = BatchRandomResizedCrop(32, interpolation='bicubic')
    params = crop.sample(numbers(6, crop), (40, 48))
    expected = crop.apply(images, params)

    def coarse(multiply):
        return lambda x, w: multiply(x.bfloat16().float(), w.bfloat16().float())

    for name in ('_from_left', '_from_right'):
        monkeypatch.setattr(resampling, name, coarse(getattr(resampling, name)))
    assert (crop.apply(images, params).int() - expected).abs().max() > 1
    monkeypatch.setattr(resampling, '_splits', lambda device: True)
    found = (crop.apply(images, params).int() - expected).abs()
    assert found.max() <= 1
    assert found.float().mean() < 0.01


def test_bilinear_weights_are_exact():
    """Only then are they the same on every device: each division is rounded once."""
    starts, lengths = torch.tensor([0.0, 3, 7, 1]), torch.tensor([40.0, 37, 9, 1])
    found = resampling.resampling_matrix(starts, lengths, 24, 40, 'bilinear')
    for start, length, matrix in zip(starts.int(), lengths.int(), found, strict=True):
        scale = Fraction(int(length), 24)
        for step, row in enumerate(matrix.tolist()):
            exact = [0] * 40
            for pixel in range(length):
                distance = abs(pixel + Fraction(1, 2) - (step + Fraction(1, 2)) * scale)
                exact[start + pixel] = max(1 - distance / max(scale, 1), 0)
            assert row == [np.float32(weight / sum(exact)) for weight in exact]


def test_halves_round_alike_in_whatever_order_a_device_adds(batch, monkeypatch):
    images = batch(20)
    crop = BatchRandomResizedCrop(24)
    params = crop.sample(numbers(20, crop), (40, 48))
    expected = crop.apply(images, params)
    monkeypatch.setattr(resampling, '_splits', lambda device: True)
    assert torch.equal(crop.apply(images, params), expected)


def test_autocast_changes_nothing(batch, seeds):
    images = batch(4)
    crop = BatchRandomResizedCrop(32)
    expected = crop(images, seeds(4))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(crop(images, seeds(4)), expected)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'scale': 0}, r'scale must be one or two positive integers, got \(0, 0\)'),
        ({'scale': 8, 'crop_ratio_range': (0, 1)}, r'crop_ratio_range must be .* got \(0, 1\)'),
        ({'scale': 8, 'crop_ratio_range': (0.5, 2)}, 'crop_ratio_range must not exceed 1'),
        ({'scale': 8, 'aspect_ratio_range': (2, 1)}, r'aspect_ratio_range must be .* \(2, 1\)'),
        ({'scale': 8, 'max_attempts': -1}, 'max_attempts must be an integer >= 0, got -1'),
        ({'scale': 8, 'interpolation': 'area'}, "interpolation must be one of .* got 'area'"),
        (
            {'scale': 8, 'interpolation': 'bicubic', 'antialias': False},
            "antialias=False needs interpolation='bilinear', got 'bicubic'",
        ),
        ({'scale': 8, 'flip_prob': -1}, 'flip_prob must lie between 0 and 1, got -1'),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchRandomResizedCrop(**arguments)


def test_repr():
    assert repr(BatchRandomResizedCrop(8, interpolation='bicubic', flip_prob=0.5)) == (
        'BatchRandomResizedCrop(scale=(8, 8), crop_ratio_range=(0.08, 1.0), '
        'aspect_ratio_range=(0.75, 1.3333333333333333), max_attempts=10, '
        "interpolation='bicubic', antialias=True, flip_prob=0.5)"
    )
