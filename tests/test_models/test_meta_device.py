"""No component waits for a GPU or leaves a tensor on the CPU: checked on the meta device.

It computes shapes only. ``.item()``, a comparison in an ``if`` and sizes that depend on data
cannot work there; a tensor that was forgotten on the CPU, an index for example, is refused by
``no_waiting``.
"""

from contextlib import nullcontext

import mmpretrain.registry
import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn import functional as F

BACKBONES = {
    'ConViT': {'arch': 'tiny', 'img_size': 32},
    'CvT': {
        'arch': {'embed_dims': (8, 8, 16), 'num_heads': (1, 1, 2), 'depths': (1, 1, 1)},
    },
    'DeiT3ViT': {'arch': 'tiny', 'img_size': 32, 'drop_path_rate': 0.1},
    'HybridViT': {'arch': 'small', 'stem': (1,), 'img_size': 32},
    'ResNetStem': {'blocks': (1,)},
    'ResidualConvStem': {},
    'PosEmbedViT': {'arch': 'deit-tiny', 'img_size': 32},
    'T2TViTPerformer': {'img_size': 32, 'num_layers': 1},
}
LOSSES = {
    'BinaryCrossEntropyLoss': {},
    'ContrastiveLoss': {},
    'DRLocLoss': {'in_channels': 8},
    'KoLeoLoss': {},
    'TupleContrastiveLoss': {'tuple_size': 4},
}


needs_meta_kernels = pytest.mark.skipif(
    torch.__version__.startswith('2.1.'),
    reason='torch 2.1 lacks one_hot and operators of bits on the meta device',
)


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch):
    """Disable autocast, which the meta device does not support."""
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())


def ours(folder):
    return {
        name
        for name, component in mmpretrain.registry.MODELS.module_dict.items()
        if component.__module__.startswith(f'vit_plugins.models.{folder}.')
    }


def on_meta(*shape, **kwargs):
    return torch.empty(*shape, device='meta', **kwargs)


def built(name, settings):
    return MODELS.build({'type': name, **settings}).to('meta')


def backward(loss, *inputs):
    assert loss.device.type == 'meta'
    assert loss.shape == ()
    loss.backward()
    assert all(x.grad is not None for x in inputs)


def test_every_backbone_and_loss_is_tried():
    assert ours('backbones') == set(BACKBONES)
    assert ours('losses') == set(LOSSES)


@pytest.mark.parametrize('name', list(BACKBONES))
def test_backbone(name, no_waiting):
    backbone = built(name, BACKBONES[name])
    with no_waiting():
        outputs = backbone(on_meta(2, 3, 32, 32))
        outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
        sum(out.sum() for out in outputs).backward()
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)


@needs_meta_kernels
@pytest.mark.parametrize('soft', [False, True])
def test_binary_cross_entropy_loss(no_waiting, soft):
    scores = on_meta(4, 10, requires_grad=True)
    label = on_meta(4, 10) if soft else on_meta(4, dtype=torch.long)
    with no_waiting():
        backward(built('BinaryCrossEntropyLoss', {})(scores, label, avg_factor=4), scores)


@pytest.mark.parametrize('similarity', ['cosine', 'euclidean'])
@pytest.mark.parametrize('reduction', ['sum_per_anchor', 'mean_active'])
def test_contrastive_loss(no_waiting, similarity, reduction):
    loss = built('ContrastiveLoss', {'similarity': similarity, 'reduction': reduction})
    anchors, labels = on_meta(4, 8, requires_grad=True), on_meta(4, dtype=torch.long)
    with no_waiting():
        self_index = torch.arange(4, device='meta')
        backward(loss(anchors, anchors, labels, labels, self_index), anchors)


@needs_meta_kernels
def test_koleo_loss(no_waiting):
    vectors = on_meta(4, 8, requires_grad=True)
    with no_waiting():
        backward(built('KoLeoLoss', {})(vectors), vectors)


def test_tuple_contrastive_loss(no_waiting):
    vectors, labels = on_meta(8, 8, requires_grad=True), on_meta(8, dtype=torch.long)
    with no_waiting():
        loss = built('TupleContrastiveLoss', LOSSES['TupleContrastiveLoss'])
        backward(loss(vectors, vectors, labels, labels), vectors)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'preset': 'official'},
        {'mode': 'ce', 'grid_size': 4},
        {'mode': 'reg', 'grid_size': 4, 'exclude_identical': True},
    ],
)
def test_drloc_loss(no_waiting, settings):
    grid = on_meta(2, 8, 4, 4, requires_grad=True)
    loss = built('DRLocLoss', {'in_channels': 8, **settings})
    with no_waiting():
        backward(loss(grid), grid)


def samples(num):
    return [DataSample().set_gt_label(i % 2).to('meta') for i in range(num)]


@needs_meta_kernels
def test_bce_head(no_waiting):
    head = built('VisionTransformerBCEHead', {'num_classes': 2, 'in_channels': 8})
    tokens = on_meta(4, 8, requires_grad=True)
    with no_waiting():
        backward(head.loss(([None, tokens],), samples(4))['loss'], tokens)


@needs_meta_kernels
def test_contrastive_retrieval_head(no_waiting, monkeypatch):
    head = built(
        'ContrastiveRetrievalHead',
        {
            'loss': {'type': 'ContrastiveLoss'},
            'koleo': {'type': 'KoLeoLoss'},
            'memory': {'type': 'CrossBatchMemory', 'size': 6},
        },
    )
    # The diagnostics wait once a step: eigenvalues do, and the host reads what is logged anyway.
    monkeypatch.setattr(head, '_diagnose', lambda *args: {})
    feats = on_meta(4, 8, requires_grad=True)
    with no_waiting():
        for _ in range(2):
            losses = head.loss((feats,), samples(4))
            backward(sum(value for name, value in losses.items() if 'loss' in name), feats)


def test_cosine_of_a_batch_shows_that_the_watch_is_on(no_waiting):
    with no_waiting(), pytest.raises(AssertionError, match='takes a CPU tensor'):
        F.normalize(on_meta(4, 8)).index_select(0, torch.arange(2))
