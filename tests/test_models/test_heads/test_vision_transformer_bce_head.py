"""The head: its loss, sigmoid scores, and that weights and tools of the host's head fit."""

import copy

import pytest
import torch
from mmpretrain.evaluation import Accuracy
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from vit_plugins.models.losses.binary_cross_entropy_loss import BinaryCrossEntropyLoss

HEAD = dict(type='VisionTransformerBCEHead', num_classes=4, in_channels=8)
ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
MODEL = dict(
    type='ImageClassifier',
    backbone=dict(type='DeiT3ViT', arch=ARCH, img_size=32, patch_size=8),
    head=HEAD | dict(in_channels=32),
)


def test_loss_by_default_and_by_config():
    assert isinstance(MODELS.build(HEAD).loss_module, BinaryCrossEntropyLoss)
    other = dict(type='BinaryCrossEntropyLoss', target_threshold=0.3)
    assert MODELS.build({**HEAD, 'loss': other}).loss_module.target_threshold == 0.3


def test_loss_of_zero_weights_is_ln_2():
    head = MODELS.build(HEAD)
    head.init_weights()  # the host's: all zero
    samples = [DataSample().set_gt_label(i) for i in range(3)]
    loss = head.loss((torch.randn(3, 8),), samples)['loss']
    assert loss.item() == pytest.approx(0.6931, abs=5e-5)


def test_predictions_are_sigmoid_scores_ranked_by_logits():
    head, feats = MODELS.build(HEAD), (torch.randn(5, 8),)
    given = [DataSample().set_gt_label(1) for _ in range(5)]
    out = head.predict(feats, given)
    scores = torch.stack([sample.pred_score for sample in out])
    torch.testing.assert_close(scores, head(feats).sigmoid())
    assert [a is b for a, b in zip(out, given, strict=True)] == [True] * 5
    assert [sample.pred_label.item() for sample in out] == head(feats).argmax(1).tolist()
    assert [sample.pred_label.shape for sample in head.predict(feats)] == [(1,)] * 5


def test_label_of_saturated_scores_is_that_of_the_highest_logit():
    head = MODELS.build(HEAD)
    (sample,) = head._get_predictions(torch.tensor([[30.0, 50.0, 40.0, 0.0]]), None)
    assert sample.pred_score[:3].tolist() == [1, 1, 1]
    assert sample.pred_label.item() == 1


def test_half_precision_logits():
    head = MODELS.build(HEAD)
    logits = torch.tensor([[8.0, 9.0, -1.0, 0.0]], dtype=torch.bfloat16)
    (sample,) = head._get_predictions(logits, None)
    torch.testing.assert_close(sample.pred_score, logits[0].float().sigmoid())


def test_accuracy_of_the_host_reads_them():
    head = MODELS.build(HEAD)
    samples = [DataSample().set_gt_label(i % 4) for i in range(40)]
    logits = torch.randn(40, 4)
    metric = Accuracy(topk=(1, 2))
    metric.process(None, [s.to_dict() for s in head._get_predictions(logits, samples)])
    hits = logits.argsort(descending=True) == (torch.arange(40) % 4)[:, None]
    expected = [100 * hits[:, :k].any(1).float().mean().item() for k in (1, 2)]
    assert list(metric.evaluate(40).values()) == pytest.approx(expected)


def test_weights_of_the_host_head_both_ways():
    ours, host = MODELS.build(HEAD), MODELS.build(HEAD | dict(type='VisionTransformerClsHead'))
    ours.load_state_dict(host.state_dict())
    feats = (torch.randn(2, 8),)
    assert torch.equal(ours(feats), host(feats))
    host.load_state_dict(ours.state_dict())


def test_inside_the_drloc_head():
    model = copy.deepcopy(MODEL)
    model['backbone']['out_type'] = 'raw'
    model['head'] = dict(type='DRLocHead', in_channels=32, num_pairs=4, head=model['head'])
    model = MODELS.build(model)
    samples = [DataSample(metainfo=dict(img_shape=(32, 32))).set_gt_label(1) for _ in range(2)]
    losses = model(torch.randn(2, 3, 32, 32), samples, mode='loss')
    assert losses['loss_cls'].isfinite()
    images = torch.randn(2, 3, 32, 32)
    model.eval()
    out = model(images, mode='predict')
    scores = torch.stack([sample.pred_score for sample in out])
    torch.testing.assert_close(scores, model(images).sigmoid())
