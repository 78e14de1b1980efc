"""Steps of a training in bf16, and in fp16 with a loss scaler: they follow those in float32."""

import copy
from logging import getLogger
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.engine.grouped_step import can_join_groups, joined_groups
from vit_plugins.models.losses import drloc_loss
from vit_plugins.models.losses.drloc_formulas import sample_pairs

EARLY = ('2.1.', '2.2.', '2.3.')  # versions of torch whose fused optimizers need a GPU

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
MODEL = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='StackedDataPreprocessor', num_classes=4),
    backbone=dict(
        type='ConViT', arch=ARCH, img_size=32, patch_size=8, num_local_layers=2, out_type='raw'
    ),
    head=dict(
        type='DRLocHead',
        in_channels=32,
        hidden_dims=(32,),
        loss_weight=0.1,
        head=dict(type='VisionTransformerBCEHead', num_classes=4, in_channels=32),
    ),
)
STEPS = 30


def train(device, optim_wrapper):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(MODEL))
    model.init_weights()
    model.to(device)
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='AdamW', lr=3e-3), **optim_wrapper)
    )
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(16, 3, 32, 32, generator=generator)
    samples = [
        DataSample(metainfo=dict(img_shape=(32, 32))).set_gt_label(i % 4) for i in range(16)
    ]
    losses = []
    for _ in range(STEPS):
        out = model.train_step(dict(inputs=images, data_samples=samples), wrapper)
        losses.append(out['loss'].item())
    return losses, model, wrapper


def precision(device, dtype):
    """Return the wrapper that --amp chooses for the device."""
    if device.type == 'cuda':
        return dict(type='AmpOptimWrapper', dtype=dtype, loss_scale='dynamic')
    if dtype == 'float16':
        pytest.skip('a CPU trains in bfloat16 only')
    return dict(type='AutocastOptimWrapper')


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_mixed_precision_follows_float32(dtype, device):
    expected, *_ = train(torch.device('cpu'), dict(type='OptimWrapper'))
    found, model, wrapper = train(device, precision(device, dtype))
    assert expected[-1] < 0.8 * expected[0]
    assert found[0] == pytest.approx(expected[0], rel=0.02)
    assert found[-1] == pytest.approx(expected[-1], rel=0.1)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert parameter.isfinite().all(), name
    if dtype == 'float16':
        assert wrapper.loss_scaler.get_scale() > 1


@pytest.mark.gpu
def test_float32_is_that_of_the_cpu(device, monkeypatch):
    def sample_on_the_cpu(num_pairs, h, w, batch, device, *others):
        return sample_pairs(num_pairs, h, w, batch, 'cpu', *others).to(device)

    # a GPU draws other pairs, which changes the loss by up to 0.4 %
    monkeypatch.setattr(drloc_loss, 'sample_pairs', sample_on_the_cpu)
    expected, *_ = train(torch.device('cpu'), dict(type='OptimWrapper'))
    found, *_ = train(device, dict(type='OptimWrapper'))
    assert found[:5] == pytest.approx(expected[:5], rel=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize('form', ['foreach', 'fused'])
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_steps_over_joined_groups_are_the_same_bits(dtype, form, device):
    if form == 'fused' and device.type == 'cpu' and torch.__version__.startswith(EARLY):
        pytest.skip(f'AdamW of torch {torch.__version__} is fused on a GPU only')
    runs = []
    for join in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(*(nn.Linear(32, 32) for _ in range(6))).to(device)
        settings = precision(device, dtype) | dict(
            optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1, **{form: True}),
            paramwise_cfg=dict(bias_decay_mult=0.0),
            clip_grad=dict(max_norm=0.5),
        )
        wrapper = build_optim_wrapper(model, settings)
        groups = wrapper.optimizer.param_groups
        assert (len(groups), len(joined_groups(groups, wrapper.optimizer.defaults))) == (12, 2)
        if join:
            hook = HOOKS.build(dict(type='GroupedStepHook', on_cpu=device.type == 'cpu'))
            hook.before_train(SimpleNamespace(optim_wrapper=wrapper, logger=getLogger('steps')))
            assert not can_join_groups(wrapper.optimizer)  # they are joined now
        for step in range(4):
            with wrapper.optim_context(model):
                loss = model(torch.full((8, 32), step - 1.5, device=device)).square().mean()
            wrapper.update_params(loss)
        runs.append((model.state_dict(), wrapper.optimizer.state_dict()['state']))
    torch.testing.assert_close(runs[1], runs[0], rtol=0, atol=0)
    assert {state['step'].item() for state in runs[1][1].values()} == {4}
