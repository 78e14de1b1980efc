"""Each loss, and the memory, computes on a GPU what it computes on the CPU."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from vit_plugins.benchmarks.comparison import relative_difference
from vit_plugins.models.losses.drloc_loss import sample_pairs

N, DIMS = 14, 24
LOSSES = {
    'bce': dict(type='BinaryCrossEntropyLoss'),
    'cosine': dict(type='ContrastiveLoss'),
    'euclidean': dict(type='ContrastiveLoss', similarity='euclidean', margin=0.85),
    'mean of active': dict(type='ContrastiveLoss', reduction='mean_active'),
    'DRLoc': dict(type='DRLocLoss', in_channels=DIMS, hidden_dims=(16,)),
    'DRLoc as released': dict(
        type='DRLocLoss', in_channels=DIMS, hidden_dims=(16,), preset='official'
    ),
    'DRLoc ce': dict(
        type='DRLocLoss', in_channels=DIMS, hidden_dims=(16,), mode='ce', grid_size=4
    ),
    'DRLoc reg': dict(
        type='DRLocLoss', in_channels=DIMS, hidden_dims=(16,), mode='reg', grid_size=4
    ),
    'KoLeo': dict(type='KoLeoLoss'),
    'tuples': dict(type='TupleContrastiveLoss', tuple_size=7),
}


def test_every_loss_is_here():
    ours = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith('vit_plugins.models.losses')
    }
    assert ours == {config['type'] for config in LOSSES.values()}


def make_inputs(kind):
    """Return what the loss takes: the first has a gradient."""
    if kind == 'BinaryCrossEntropyLoss':
        return torch.randn(N, 10), torch.rand(N, 10)
    if kind == 'DRLocLoss':
        return torch.randn(N, DIMS, 4, 4), sample_pairs(20, 4, 4, N)
    vectors = F.normalize(torch.randn(N, DIMS), dim=1)
    if kind == 'KoLeoLoss':
        return (vectors,)
    labels = torch.arange(N) // 7 if kind == 'TupleContrastiveLoss' else torch.arange(N) % 5
    if kind == 'TupleContrastiveLoss':
        labels = torch.tensor([0, 0, 1, 2, 3, 4, 5] * 2)
    return vectors, vectors.clone(), labels, labels.clone(), torch.arange(N)


def run(loss, inputs):
    first, *others = inputs
    x = first.detach().requires_grad_()
    value = loss(x, *others)
    value.backward()
    return value, x.grad, [p.grad for p in loss.parameters()]


@pytest.mark.gpu
@pytest.mark.parametrize('name', LOSSES)
def test_value_and_gradient(name, device):
    torch.manual_seed(0)
    loss = MODELS.build(copy.deepcopy(LOSSES[name]))
    inputs = make_inputs(LOSSES[name]['type'])
    value, gradient, weights = run(loss, inputs)
    weights = [w.clone() for w in weights]
    loss.zero_grad()
    found = run(loss.to(device), [x.to(device) for x in inputs])
    assert found[0].device.type == device.type
    assert relative_difference(found[0], value) < 1e-5
    assert relative_difference(found[1], gradient) < 1e-4
    for a, b in zip(found[2], weights, strict=True):
        assert relative_difference(a, b) < 1e-4


@pytest.mark.gpu
def test_memory_is_the_same_over_the_turn_of_its_ring(device):
    memories = [MODELS.build(dict(type='CrossBatchMemory', size=10)) for _ in range(2)]
    for step in range(5):
        vectors, labels = torch.randn(4, 3), torch.arange(4) + step
        rows = memories[0].store(vectors, labels)
        found = memories[1].store(vectors.to(device), labels.to(device))
        assert torch.equal(found.cpu(), rows)
    for a, b in zip(memories[1].entries_by_age(), memories[0].entries_by_age(), strict=True):
        assert a.device.type == device.type
        assert torch.equal(a.cpu(), b)
