import numpy as np
import pytest
import torch

from vit_plugins.evaluation.functional.sample_collection import (
    merge_batches,
    pack_batch,
    split_roles,
)


def sample(index, label=0, **more):
    return dict(embedding=torch.full((2,), float(index)), sample_idx=index, gt_label=label, **more)


def test_batches_are_packed():
    label = torch.tensor([5])  # as DataSample keeps it
    half = sample(3, label) | dict(embedding=torch.ones(2, dtype=torch.float16))
    batch = pack_batch([half, sample(2**40, role='query')], 'gt_label')
    assert batch['embedding'].dtype == np.float32
    assert batch['embedding'].tolist() == [[1, 1], [2.0**40, 2.0**40]]
    assert batch['gt_label'].tolist() == [5, 0]
    assert batch['sample_idx'].tolist() == [3, 2**40]
    assert batch['role'].tolist() == ['', 'query']


def test_repeated_samples_count_once_wherever_they_are():
    # 5 samples over two ranks, the first repeated; a rank's batches may come in any order
    batches = [
        pack_batch([sample(i, i) for i in part], 'gt_label') for part in ((4, 0), (1, 0), (2, 3))
    ]
    merged = merge_batches(batches, 5)
    assert merged['sample_idx'].tolist() == [0, 1, 2, 3, 4]
    assert merged['gt_label'].tolist() == [0, 1, 2, 3, 4]
    assert merged['embedding'][:, 0].tolist() == [0, 1, 2, 3, 4]


def test_data_sets_whose_indices_collide_are_refused():
    batches = [pack_batch([sample(0, 1), sample(1, 1), sample(0, 1)], 'gt_label')]
    with pytest.raises(ValueError, match=r'3 samples have 2 different sample_idx.*ConcatDataset'):
        merge_batches(batches, 3)
    batches = [pack_batch([sample(0, 1), sample(1, 1), sample(0, 2)], 'gt_label')]
    with pytest.raises(ValueError, match=r'same sample_idx differ in gt_label.*ConcatDataset'):
        merge_batches(batches, 2)
    with pytest.raises(ValueError, match='no sample has come'):
        merge_batches([], 2)


def test_what_is_missing_is_named():
    with pytest.raises(KeyError, match=r"a sample has no 'embedding'.*EmbeddingRetriever"):
        pack_batch([dict(sample_idx=0)], 'gt_label')
    with pytest.raises(KeyError, match=r"a sample has no 'image_idx'.*meta_keys"):
        pack_batch([sample(0)], 'image_idx')


def test_roles():
    assert split_roles(np.array(['', ''])) is None
    queries, gallery = split_roles(np.array(['gallery', 'query', 'gallery']))
    assert (queries.tolist(), gallery.tolist()) == ([1], [0, 2])
    for roles in (['query', ''], ['query', 'query'], ['query', 'gallery', 'other']):
        with pytest.raises(ValueError, match=r'the roles of the samples are .* both occur'):
            split_roles(np.array(roles))
