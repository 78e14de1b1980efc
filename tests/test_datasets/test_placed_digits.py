import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.digits import load_digits, split_indices
from vit_plugins.datasets.placed_digits import sample_places


def build(**kwargs):
    return DATASETS.build({'type': 'PlacedDigits', 'serialize_data': False, **kwargs})


@pytest.mark.parametrize('split', ['train', 'val', 'trainval', 'test'])
def test_pictures_hold_the_whole_digit_and_nothing_else(split):
    dataset = build(split=split, copies=2)
    images, labels = load_digits()
    indices = split_indices(labels, split)
    assert len(dataset) == 2 * len(indices)
    for i in range(0, len(dataset), 13):
        info = dataset.get_data_info(i)
        digit = images[indices[i // 2]]
        windows = np.lib.stride_tricks.sliding_window_view(info['img'], (8, 8, 3))
        matches = (windows == digit).all(axis=(-1, -2, -3))
        assert matches.any()
        assert info['img'].shape == (14, 14, 3)
        assert info['img'].sum(dtype=np.int64) == digit.sum(dtype=np.int64)
        assert info['gt_label'] == labels[indices[i // 2]]


def test_digits_of_the_splits_differ():
    datasets = (build(split=split, canvas_size=8) for split in ('trainval', 'test'))
    train, test = (
        {dataset.get_data_info(i)['img'].tobytes() for i in range(len(dataset))}
        for dataset in datasets
    )
    assert len(train) == 1438
    assert not train & test


def test_every_place_is_equally_likely():
    places = sample_places(list(range(1000)), 7, 7, seed=0)
    counts = np.bincount((places[..., 0] * 7 + places[..., 1]).ravel(), minlength=49)
    expected = 7000 / 49
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert len(counts) == 49
    assert chi_squared < 84.0  # 99.9 % point of chi squared with 48 degrees of freedom


def test_a_place_depends_on_seed_and_digit_alone():
    some = sample_places([5, 3, 8], 2, 7, seed=1)
    more = sample_places([8, 5], 4, 7, seed=1)
    assert np.array_equal(some[[2, 0]], more[:, :2])
    assert not np.array_equal(sample_places([5], 20, 7, 1), sample_places([5], 20, 7, 2))
    # written down when the dataset was made: a change would void the numbers of the evidence
    assert sample_places([0, 1], 2, 7, seed=0).tolist() == [[[5, 4], [3, 1]], [[3, 6], [6, 3]]]


def test_messages():
    with pytest.raises(ValueError, match="train, val, trainval, test, got 'query'"):
        build(split='query')
    with pytest.raises(ValueError, match='canvas_size must be at least 8, got 7'):
        build(canvas_size=7)
    with pytest.raises(ValueError, match='copies must be at least 1, got 0'):
        build(copies=0)
    text = repr(build(split='test', copies=3))
    assert 'Split: \ttest' in text
    assert '14 px, 3 of each digit (seed 0)' in text
