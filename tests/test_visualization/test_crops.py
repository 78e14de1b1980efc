"""Positions of crops: against counted pixels, the output of the transforms, and torchvision."""

import numpy as np
import pytest
import torch
from mmengine.runner import set_random_seed
from mmpretrain.datasets import CenterCrop, RandomResizedCrop
from torchvision.transforms import RandomResizedCrop as TorchvisionCrop

from vit_plugins.datasets.transforms import SimpleRandomCrop
from vit_plugins.visualization.crops import (
    Crop,
    crop_of,
    describe_crop,
    kept_share,
    sample_crop,
)


def test_kept_share_counts_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 20, (200, 2, 2))
    corners = np.concatenate([corners, corners + rng.integers(1, 12, (200, 2, 2))], -1)
    expected = []
    for pair in corners:
        masks = np.zeros((2, 40, 40), bool)
        for mask, (x1, y1, x2, y2) in zip(masks, pair, strict=True):
            mask[y1:y2, x1:x2] = True
        expected.append((masks[0] & masks[1]).sum() / masks[1].sum())
    np.testing.assert_allclose(kept_share(corners[:, 0], corners[:, 1]), expected)
    assert 0 < np.count_nonzero(expected) < 200


def coordinates(height, width):
    """Return an image whose blue is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)


def test_box_is_what_random_resized_crop_shows():
    transform = RandomResizedCrop(400, interpolation='nearest')  # enlarges: no pixel is left out
    for seed, (height, width) in enumerate([(150, 200), (200, 150), (90, 250), (250, 60)] * 5):
        set_random_seed(seed)
        crop = sample_crop(transform, height, width)
        set_random_seed(seed)
        shown = transform({'img': coordinates(height, width)})['img'].reshape(-1, 3)
        assert crop.box[:2] == tuple(shown.min(0)[:2])
        assert crop.box[2:] == tuple(shown.max(0)[:2] + 1)


@pytest.mark.parametrize('axes', ['both', 'x'])
def test_box_is_what_simple_random_crop_shows(axes):
    transform = SimpleRandomCrop(60, padding=0, axes=axes, backend='cv2')
    for seed, (height, width) in enumerate([(120, 240), (240, 120), (180, 180), (61, 250)] * 5):
        set_random_seed(seed)
        crop = sample_crop(transform, height, width)
        set_random_seed(seed)
        shown = transform({'img': coordinates(height, width)})['img'].mean((0, 1))
        x1, y1, x2, y2 = crop.box
        # the mean of a ramp is its middle; half a grey level for the rounding of the resize
        np.testing.assert_allclose(shown[:2], [(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2], atol=0.6)


def test_shares_are_those_of_torchvisions_crop():
    set_random_seed(0)
    transform, size = RandomResizedCrop(224), (300, 500)
    ours = [kept_share(sample_crop(transform, *size).box, (0, 0, 500, 300)) for _ in range(4000)]
    blank = np.zeros((3, *size), np.uint8)
    params = TorchvisionCrop.get_params
    theirs = np.array(
        [params(torch.from_numpy(blank), (0.08, 1), (3 / 4, 4 / 3))[2:] for _ in range(4000)]
    )
    theirs = theirs.prod(1) / 150_000
    error = np.hypot(np.std(ours), theirs.std()) / 4000**0.5
    assert abs(np.mean(ours) - theirs.mean()) < 4 * error


@pytest.mark.parametrize(
    ('params', 'stretch', 'words'),
    [
        ((0, 0, 100, 200), 0.5, '40% of the image\n2.00 x as tall'),
        ((50, 10, 100, 50), 2.0, '10% of the image\n2.00 x as wide'),
        ((0, 0, 100, 100), 1.0, '20% of the image\nproportions kept'),
    ],
)
def test_stretch_and_its_words(params, stretch, words):
    crop = crop_of(RandomResizedCrop(32), params, 200, 250)
    assert crop.stretch == pytest.approx(stretch)
    assert describe_crop(crop, 200, 250) == words


def test_stretch_of_other_outputs_than_squares():
    crop = crop_of(RandomResizedCrop((32, 64)), (0, 0, 100, 200), 200, 250)  # (height, width)
    assert crop == Crop((0.0, 0.0, 200.0, 100.0), 1.0)


def test_simple_random_crop_keeps_proportions_up_to_a_pixel():
    crop = sample_crop(SimpleRandomCrop(224), 375, 500)
    assert crop.stretch == pytest.approx((298 / 500) / (224 / 375))


def test_other_transforms_are_refused():
    with pytest.raises(ValueError, match='RandomResizedCrop or SimpleRandomCrop is needed, got C'):
        sample_crop(CenterCrop(8), 20, 20)
