"""The hook alone, and in a run beside an EMA copy of the model."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample

HEAD = dict(type='LinearClsHead', num_classes=2, in_channels=32)
BACKBONE = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
GAP = dict(type='GlobalAveragePooling')


def build_model(**settings):
    settings = dict(source=['backbone.layer3', 'backbone.layer4'], in_channels=[16, 32]) | settings
    head = dict(type='DRLocHead', head=HEAD, neck=GAP, num_pairs=4, hidden_dims=(8,)) | settings
    return MODELS.build(dict(type='ImageClassifier', backbone=BACKBONE, head=head))


def loss(model):
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    return model.loss(torch.randn(2, 3, 64, 64), samples)


@pytest.mark.parametrize('wrap', [lambda model: model, torch.nn.DataParallel])
def test_attaches_once(wrap):
    model = build_model()
    with pytest.raises(RuntimeError, match=r"custom_hooks=\[dict\(type='DRLocSourceHook'\)\]"):
        loss(model)
    hook = HOOKS.build(dict(type='DRLocSourceHook'))
    runner = SimpleNamespace(model=wrap(model))
    hook.before_run(runner)
    hook.before_run(runner)  # a runner calls it for training and again for testing
    assert len(model.backbone._forward_hooks) == 1
    assert loss(model)['loss_drloc'] > 0


def test_says_when_it_is_not_needed():
    hook = HOOKS.build(dict(type='DRLocSourceHook'))
    plain = MODELS.build(dict(type='ImageClassifier', backbone=BACKBONE, neck=GAP, head=HEAD))
    with pytest.raises(TypeError, match='needs a DRLocHead, the head of ImageClassifier is'):
        hook.before_run(SimpleNamespace(model=plain))
    logger = Mock()
    model = build_model(source=None, in_channels=32)
    hook.before_run(SimpleNamespace(model=model, logger=logger))
    assert 'has no source' in logger.warning.call_args.args[0]


def test_a_run_with_validation_and_ema(tmp_path):
    images = [
        dict(inputs=torch.randn(3, 64, 64), data_samples=DataSample().set_gt_label(i))
        for i in range(2)
    ]
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=images,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    runner = Runner(
        model=build_model(),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        val_evaluator=dict(type='Accuracy'),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[dict(type='DRLocSourceHook'), dict(type='EMAHook')],
        default_scope='mmpretrain',
        log_level='WARNING',
        experiment_name=tmp_path.name,
    )
    runner.train()
    assert runner.message_hub.get_scalar('train/loss_drloc').current() > 0
