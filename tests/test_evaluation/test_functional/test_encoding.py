"""The loop over batches: no gradients, evaluation mode, and the former mode afterwards."""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import DataLoader

from vit_plugins.evaluation.functional.encoding import (
    collect_descriptors,
    collect_features,
    encode_batches,
)


class Encoder(nn.Module):
    """A linear layer and a dropout, which evaluation mode switches off."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.dropout = nn.Dropout(0.9)

    def data_preprocessor(self, batch, training):
        assert not training
        return {**batch, 'inputs': torch.stack(batch['inputs'])}

    def extract_feat(self, inputs):
        assert not torch.is_grad_enabled()
        return self.dropout(self.layer(inputs))


@pytest.fixture
def images():
    values = torch.randn(7, 4)
    samples = [
        DataSample(metainfo={'sample_idx': i}).set_gt_label(i % 2) for i in range(len(values))
    ]
    return [{'inputs': v, 'data_samples': s} for v, s in zip(values, samples, strict=True)]


def stacked(images):
    return torch.stack([image['inputs'] for image in images])


@pytest.mark.parametrize('training', [True, False])
def test_features_are_those_of_evaluation_and_the_mode_is_kept(images, training):
    model = Encoder().train(training)
    loader = DataLoader(images, batch_size=3, collate_fn=pseudo_collate)
    found = [*encode_batches(model, loader)]
    assert [len(samples) for _, samples in found] == [3, 3, 1]
    features = torch.cat([values for values, _ in found])
    torch.testing.assert_close(features, model.layer(stacked(images)).detach())
    assert not features.requires_grad
    assert model.training is training


def test_another_way_to_encode(images):
    loader = DataLoader(images, batch_size=7, collate_fn=pseudo_collate)
    ((found, _),) = encode_batches(Encoder(), loader, lambda inputs: inputs.sum(1))
    torch.testing.assert_close(found, stacked(images).sum(1))


def test_the_mode_is_kept_where_a_batch_fails_or_nobody_reads_on(images):
    model = Encoder().train()
    loader = DataLoader(images, batch_size=3, collate_fn=pseudo_collate)

    def fail(inputs):
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='out of memory'):
        list(encode_batches(model, loader, fail))
    assert model.training
    batches = encode_batches(model, loader)
    next(batches)
    assert not model.training
    batches.close()
    assert model.training


def test_a_whole_set_and_a_choice_of_it(images):
    model = Encoder()
    expected = model.layer(stacked(images)).detach()
    order = [5, 2, 6, 0, 3, 1, 4]  # a loader need not keep the order
    loader = DataLoader(images, batch_size=3, collate_fn=pseudo_collate, sampler=order)
    found = collect_features(model, loader)
    torch.testing.assert_close(torch.from_numpy(found['embedding']), expected)
    assert found['sample_idx'].tolist() == list(range(7))
    assert found['gt_label'].tolist() == [0, 1, 0, 1, 0, 1, 0]
    chosen = [6, 0, 6]
    descriptors = collect_descriptors(model, images, chosen, batch_size=2, num_workers=0)
    torch.testing.assert_close(descriptors, nn.functional.normalize(expected[chosen]))
