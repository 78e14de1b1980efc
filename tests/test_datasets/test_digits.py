import sys

import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._split_digits import SPLITS
from vit_plugins.datasets.digits import load_digits, split_indices

# written down when the split was made: a change would void every number in the README
FIRST_OF_TEST = [10, 16, 28, 31, 34]


def test_images_are_the_original_ink():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8, 3)
    assert images.dtype == np.uint8
    assert (images == images[..., :1]).all()
    from sklearn.datasets import load_digits as original

    ink = original().data.reshape(-1, 8, 8)
    assert np.array_equal(np.rint(images[..., 0] / 255 * 16), ink)
    assert np.array_equal(labels, original().target)


def test_splits_are_disjoint_complete_and_stratified():
    _, labels = load_digits()
    parts = {split: set(split_indices(labels, split)) for split in SPLITS}
    assert {k: len(v) for k, v in parts.items()} == {
        'train': 1259,
        'val': 179,
        'trainval': 1438,
        'test': 359,
    }
    assert parts['train'] | parts['val'] == parts['trainval']
    assert not parts['train'] & parts['val']
    assert not parts['trainval'] & parts['test']
    assert parts['trainval'] | parts['test'] == set(range(1797))
    shares = [(labels[sorted(parts['test'])] == c).sum() / (labels == c).sum() for c in range(10)]
    assert max(shares) - min(shares) < 0.01


def test_split_is_fixed_and_another_seed_is_another_split():
    _, labels = load_digits()
    assert split_indices(labels, 'test')[:5] == FIRST_OF_TEST
    assert split_indices(labels, 'test', seed=1)[:5] != FIRST_OF_TEST


def test_registered_with_classes_and_pipeline():
    dataset = DATASETS.build(
        {
            'type': 'Digits',
            'split': 'val',
            'pipeline': [
                {'type': 'Resize', 'scale': 32, 'interpolation': 'bicubic'},
                {'type': 'RandomCrop', 'crop_size': 32, 'padding': 4},
                {'type': 'PackInputs'},
            ],
        }
    )
    assert tuple(dataset.CLASSES) == tuple('0123456789')
    assert dataset.test_mode
    assert 'Split: \tval (seed 0)' in repr(dataset)
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 32, 32)
    assert dataset.get_gt_labels().min() == 0


def test_unknown_split():
    with pytest.raises(ValueError, match="train, val, trainval, test, got 'valid'"):
        DATASETS.build({'type': 'Digits', 'split': 'valid'})


def test_missing_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        load_digits()
