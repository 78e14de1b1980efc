import pickle
from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from mmpretrain.structures import DataSample

from vit_plugins.structures import DataSampleBatch, data_sample_batch


def made(count=3):
    out = []
    for i in range(count):
        sample = DataSample(metainfo={'img_path': f'{i}.jpg', 'ori_shape': (8, 9 + i)})
        sample.set_gt_label(i)
        sample.set_mask(torch.full((2, 2), float(i)))
        out.append(sample)
    return out


def equal(one, other):
    assert one.metainfo == other.metainfo
    assert set(one.all_keys()) == set(other.all_keys())
    return all(torch.equal(value, other.get(key)) for key, value in one.items())


def test_items_are_the_samples_it_was_made_of():
    originals = made()
    batch = DataSampleBatch.from_samples(originals)
    assert len(batch) == 3
    assert torch.equal(batch.gt_label, torch.tensor([[0], [1], [2]]))
    assert batch.fields['mask'].shape == (3, 2, 2)
    assert all(isinstance(item, DataSample) for item in batch)
    assert all(equal(item, original) for item, original in zip(batch, originals, strict=True))
    assert equal(batch[-1], originals[-1])
    assert len(batch[:2]) == 2


def test_what_is_written_into_an_item_stays():
    batch = DataSampleBatch.from_samples(made())
    batch[1].set_pred_label(7)
    assert [item.get('pred_label') is not None for item in batch] == [False, True, False]


@pytest.mark.parametrize('look_first', [False, True])
def test_a_field_reaches_items_made_before_and_after(look_first):
    batch = DataSampleBatch.from_samples(made())
    if look_first:
        assert 'gt_score' not in batch[0]
    batch.set_field('gt_score', torch.eye(3))
    assert torch.equal(batch[2].gt_score, torch.tensor([0.0, 0.0, 1.0]))
    assert 'gt_score' in batch[0]
    batch.set_metainfo('num_classes', 3)
    assert batch[1].num_classes == 3


def test_survives_the_way_from_a_worker():
    batch = DataSampleBatch.from_samples(made())
    batch[0].set_pred_label(1)  # is not sent
    sent = pickle.loads(bytes(ForkingPickler.dumps(batch)))
    assert all(equal(a, b) for a, b in zip(sent, made(), strict=True))


@pytest.mark.parametrize('odd', ['label', 'key', 'meta', 'text'])
def test_samples_that_are_no_columns_are_left_alone(odd):
    originals = made()
    if odd == 'label':
        originals[1].set_gt_label([0, 1])
    elif odd == 'key':
        originals[1].set_gt_score([0.5, 0.5])
    elif odd == 'meta':
        originals[1].set_metainfo({'flip': True})
    else:
        for sample in originals:
            sample.set_data({'caption': 'a cat'})
    assert DataSampleBatch.from_samples(originals) is None


def test_torch_pins_its_tensors_and_does_not_take_it_apart(monkeypatch):
    from torch.utils.data._utils.pin_memory import pin_memory

    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self, *_: self + 100)
    batch = DataSampleBatch.from_samples(made())
    assert not isinstance(batch, Sequence)
    pinned = pin_memory({'data_samples': batch})['data_samples']
    assert pinned.gt_label.tolist() == [[100], [101], [102]]
    assert pinned.metainfo == batch.metainfo


def test_messages():
    with pytest.raises(ValueError, match='gt_label has 2 entries for 3 images'):
        DataSampleBatch({'gt_label': torch.zeros(2, 1)}, {}, 3)
    batch = DataSampleBatch({}, {'img_path': ['a', 'b']}, 2)
    with pytest.raises(ValueError, match='gt_score has 1 entries for 2 images'):
        batch.set_field('gt_score', torch.zeros(1, 5))
    with pytest.raises(AttributeError, match="no 'gt_label'"):
        _ = batch.gt_label
    assert 'DataSampleBatch(2 samples' in repr(batch)
    assert batch[1].img_path == 'b'


def test_compiled_code_reads_rows_that_answer_like_samples(monkeypatch):
    batch, expected = DataSampleBatch.from_samples(made()), made()
    assert batch.to_read() is batch
    monkeypatch.setattr(data_sample_batch, '_is_compiling', lambda: True)
    rows = batch.to_read()
    assert len(rows) == len(expected)
    for row, sample in zip(rows, expected, strict=True):
        assert torch.equal(row.gt_label, sample.gt_label)
        assert row.get('img_path') == row.img_path == sample.img_path
        assert 'mask' in row
        assert 'gt_score' not in row
        assert row.get('absent') is None
        with pytest.raises(AttributeError, match="no 'set_gt_score' to read"):
            row.set_gt_score(torch.ones(4))
    batch[0].set_gt_label(7)  # samples that were written into are read themselves
    assert batch.to_read() is batch
