"""The loss: DeiT III's definition, the host's calling conventions, and its messages."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import set_random_seed
from mmpretrain.models.utils.batch_augments import CutMix, Mixup
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from timm.loss import BinaryCrossEntropy

from vit_plugins.models.losses.binary_cross_entropy_loss import class_targets

AUGMENTS = {'mixup': Mixup(alpha=0.8), 'cutmix': CutMix(alpha=1.0)}


def build(**settings):
    return MODELS.build(dict(type='BinaryCrossEntropyLoss', **settings))


def mixed(kind, labels, classes):
    """Return the targets of a batch after one of the host's batch augmentations."""
    set_random_seed(0)
    images = torch.zeros(len(labels), 3, 16, 16)
    return AUGMENTS[kind](images, F.one_hot(labels, classes).float())[1]


def slow_loss(scores, target):
    """Compute the equation of the paper's reference, one class at a time."""
    total = 0.0
    for row, wanted in zip(scores.tolist(), target.tolist(), strict=True):
        for x, y in zip(row, wanted, strict=True):
            prob = 1 / (1 + math.exp(-x))
            total -= math.log(prob) if y > 0 else math.log(1 - prob)
    return total / scores.numel()


@pytest.mark.parametrize('classes', [2, 1000])
@pytest.mark.parametrize('avg_factor', [None, 8])
def test_zero_logits_cost_ln_2(classes, avg_factor):
    loss = build()(torch.zeros(8, classes), torch.randint(classes, (8,)), avg_factor=avg_factor)
    assert loss.item() == pytest.approx(0.6931, abs=5e-5)


@pytest.mark.parametrize('kind', AUGMENTS)
def test_mixed_targets_are_full_positives(kind):
    target = mixed(kind, torch.arange(8), 10)
    scores = torch.randn(8, 10)
    assert ((target > 0) & (target < 1)).any()
    loss = build()(scores, target, avg_factor=8)
    torch.testing.assert_close(loss.item(), slow_loss(scores, target), atol=1e-6, rtol=0)
    assert abs(loss - build(target_threshold=None)(scores, target)) > 1e-3


@pytest.mark.parametrize('kind', AUGMENTS)
def test_equals_timm_and_torch(kind):
    scores, target = torch.randn(8, 10), mixed(kind, torch.arange(8), 10)
    kept = F.binary_cross_entropy_with_logits(scores, target)
    for threshold, expected in (
        (0.0, F.binary_cross_entropy_with_logits(scores, (target > 0).float())),
        (0.2, BinaryCrossEntropy(smoothing=0.0, target_threshold=0.2)(scores, target)),
        (None, kept),
    ):
        loss = build(target_threshold=threshold)(scores, target, avg_factor=8)
        torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)


def test_any_share_of_a_class_makes_it_a_full_positive():
    target = class_targets(torch.tensor([[1e-6, 1 - 1e-6, 0.0]]), 3)
    assert target.tolist() == [[1, 1, 0]]


def test_gradient_equals_torch():
    labels, grads = torch.arange(6), []
    for loss in (
        lambda x: build()(x, labels, avg_factor=6),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.eye(6)),
    ):
        torch.manual_seed(0)
        scores = torch.randn(6, 6, requires_grad=True)
        loss(scores).backward()
        grads.append(scores.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('dtype', [torch.int64, torch.int32, torch.uint8])
def test_indices_are_one_hot_scores(dtype):
    scores, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    for settings in ({}, dict(target_threshold=None, label_smooth_val=0.1)):
        loss = build(**settings)
        torch.testing.assert_close(
            loss(scores, labels.to(dtype)), loss(scores, F.one_hot(labels, 4))
        )


def test_smoothing_without_threshold():
    target = class_targets(torch.tensor([1]), 4, None, 0.2)
    torch.testing.assert_close(target, torch.tensor([[0.05, 0.85, 0.05, 0.05]]))
    host = MODELS.build(
        dict(type='LabelSmoothLoss', label_smooth_val=0.2, mode='original', use_sigmoid=True)
    )
    scores, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    ours = build(target_threshold=None, label_smooth_val=0.2)(scores, labels)
    torch.testing.assert_close(ours, host(scores, labels, avg_factor=5) / 4)  # it sums classes


def test_weight_reduction_and_average_follow_the_host():
    scores, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    weight = torch.tensor([1.0, 0.0, 2.0])
    loss, host = build(), MODELS.build(dict(type='CrossEntropyLoss'))
    each = loss(scores, labels, reduction_override='none')
    assert each.shape == host(scores, labels, reduction_override='none').shape == (3,)
    torch.testing.assert_close(loss(scores, labels), each.mean())
    torch.testing.assert_close(loss(scores, labels, weight), (each * weight).mean())
    torch.testing.assert_close(loss(scores, labels, weight, avg_factor=2), each @ weight / 2)
    torch.testing.assert_close(loss(scores, labels, reduction_override='sum'), each.sum())
    torch.testing.assert_close(build(loss_weight=3)(scores, labels), 3 * each.mean())
    torch.testing.assert_close(build(reduction='sum')(scores, labels), each.sum())
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        loss(scores, labels, avg_factor=3, reduction_override='sum')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_computed_in_float32(dtype):
    scores, labels = torch.randn(16, 50).to(dtype), torch.randint(50, (16,))
    loss = build()(scores, labels)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, build()(scores.float(), labels))
    assert build()(scores.double(), labels).dtype == torch.float64


@pytest.mark.parametrize('kind', AUGMENTS)
def test_through_the_head_after_batch_augmentation(kind):
    settings = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=8, init_cfg=None)
    head = MODELS.build({**settings, 'loss': dict(type='BinaryCrossEntropyLoss')})
    target, feats = mixed(kind, torch.arange(8), 10), (torch.randn(8, 8),)
    samples = [DataSample().set_gt_score(row) for row in target]
    expected = F.binary_cross_entropy_with_logits(head(feats), (target > 0).float())
    torch.testing.assert_close(head.loss(feats, samples)['loss'], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(label_smooth_val=0.1), r'label_smooth_val=0\.1 .* target_threshold=0\.0 .*drop'),
        (dict(target_threshold=1.0), r'target_threshold \(1\.0\) must be None or in \[0, 1\)'),
        (dict(target_threshold=None, label_smooth_val=1.0), r'label_smooth_val \(1\.0\) must'),
        (dict(reduction='max'), "reduction 'max' is none of mean, sum, none"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


@pytest.mark.parametrize(
    ('label', 'message'),
    [
        (torch.tensor([0, 4, 1]), 'labels lie between 0 and 4, the scores are of 4 classes'),
        (torch.tensor([0, -1, 1]), 'labels lie between -1 and 1'),
        (torch.rand(3), r'must be integers \(N,\) or scores \(N, 4\), got torch.float32 \(3,\)'),
        (torch.rand(3, 5), r'got torch.float32 \(3, 5\)'),
        (torch.tensor([0, 1]), 'There are 2 labels for scores of 3 samples'),
        (torch.rand(1, 4), 'There are 1 labels for scores of 3 samples'),
    ],
)
def test_refuses_labels(label, message):
    with pytest.raises(ValueError, match=message):
        build()(torch.zeros(3, 4), label)


def test_settings_are_shown():
    assert 'target_threshold=0.0, label_smooth_val=0.0, reduction=mean' in repr(build())
