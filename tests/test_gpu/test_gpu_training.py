"""Steps of a training in bf16, and in fp16 with a loss scaler: they follow those in float32."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from vit_plugins.models.losses import drloc_loss
from vit_plugins.models.losses.drloc_formulas import sample_pairs

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
