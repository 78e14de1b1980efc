import numpy as np
import pytest
import torch
from scipy import stats

from vit_plugins.datasets.transforms.batch import BatchRandomFlip


@pytest.mark.parametrize(('direction', 'axis'), [('horizontal', 1), ('vertical', 0)])
def test_chosen_images_are_those_that_numpy_flips(batch, image_of, direction, axis):
    images = batch(4)
    chosen = torch.tensor([True, False, False, True])
    flipped = BatchRandomFlip(direction=direction).apply(images, chosen)
    for one, other, flip in zip(images, flipped, chosen, strict=True):
        expected = np.flip(image_of(one), axis) if flip else image_of(one)
        np.testing.assert_array_equal(image_of(other), expected)


@pytest.mark.parametrize('prob', [0.0, 0.3, 1.0])
def test_images_are_flipped_as_often_as_asked(seeds, prob):
    images = torch.arange(2, dtype=torch.uint8).expand(4000, 1, 1, 2)
    flipped = int(BatchRandomFlip(prob)(images, seeds(4000))[:, 0, 0, 0].sum())
    assert stats.binomtest(flipped, 4000, prob).pvalue > 1e-3


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'prob': 1.5}, 'prob must lie between 0 and 1, got 1.5'),
        ({'direction': 'diagonal'}, "direction must be one of .*, got 'diagonal'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchRandomFlip(**arguments)


def test_repr():
    assert repr(BatchRandomFlip(0.3)) == "BatchRandomFlip(prob=0.3, direction='horizontal')"
