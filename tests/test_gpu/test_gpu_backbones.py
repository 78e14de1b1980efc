"""Each backbone computes on a GPU what it computes on the CPU, and so do its gradients."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS

from vit_plugins.benchmarks.comparison import relative_difference

VIT = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
BACKBONES = {
    'ConViT': dict(arch=VIT, img_size=(32, 48), patch_size=8, num_local_layers=2),
    'CvT': dict(
        style='gap',
        arch=dict(embed_dims=[16, 32], num_heads=[2, 4], depths=[1, 2]),
        patch_sizes=[3, 3],
        strides=[2, 2],
        paddings=[1, 1],
    ),
    'DeiT3ViT': dict(arch=VIT, img_size=(32, 48), patch_size=8),
    'HybridViT': dict(arch=VIT, stem=(1,), img_size=(32, 48)),
    'PosEmbedViT': dict(arch=VIT, img_size=(32, 48), patch_size=8),
    'T2TViTPerformer': dict(
        img_size=32,
        token_dims=16,
        embed_dims=32,
        num_layers=2,
        layer_cfgs=dict(num_heads=4, feedforward_channels=64),
    ),
    'ResidualConvStem': dict(channels=(8, 16, 16)),
    'ResNetStem': dict(blocks=(1,)),
}


def test_every_backbone_is_here():
    ours = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith('vit_plugins.models.backbones')
    }
    assert ours == set(BACKBONES)


def run(model, images):
    out = model(images)
    tensors = [t for t in torch.utils._pytree.tree_flatten(out)[0] if isinstance(t, torch.Tensor)]
    model.zero_grad()
    sum(t.square().sum() for t in tensors).backward()
    return tensors, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.gpu
@pytest.mark.parametrize('name', BACKBONES)
def test_outputs_and_gradients(name, device):
    torch.manual_seed(0)
    model = MODELS.build(dict(type=name, **copy.deepcopy(BACKBONES[name])))
    model.init_weights()
    model.eval()  # dropout draws other numbers on another device
    images = torch.randn(3, 3, 32, 32 if name == 'T2TViTPerformer' else 48)
    outputs, gradients = run(model, images)
    found, found_gradients = run(model.to(device), images.to(device))
    for a, b in zip(found, outputs, strict=True):
        assert a.device.type == device.type
        assert relative_difference(a, b) < 1e-5
    total = sum(g.norm() ** 2 for g in gradients.values()) ** 0.5
    for key, expected in gradients.items():
        error = (found_gradients[key].cpu() - expected).norm()
        assert error < 1e-4 * (expected.norm() + 1e-2 * total), key
