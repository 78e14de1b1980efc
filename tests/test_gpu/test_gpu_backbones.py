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
# A ReLU or a maximum within rounding of its kink changes a gradient by a jump: one of them made
# 9e-4 of it. Such gradients are compared in float64 only.
KINKED = {'HybridViT', 'ResidualConvStem', 'ResNetStem'}
# of outputs and of gradients; on a CPU, float32 differs from float64 by up to 7e-7 and 3e-6
TOLERANCES = {torch.float32: (1e-5, 1e-4), torch.float64: (1e-12, 1e-11)}


def test_every_backbone_is_here():
    ours = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith('vit_plugins.models.backbones')
    }
    assert ours == set(BACKBONES)


def run(model, images):
    """Return the outputs and the gradients of their sum with random weights.

    A sum of squares would not do: it hardly changes behind a layer norm, so that most gradients
    would be rounding errors.
    """
    generator = torch.Generator().manual_seed(0)
    out = model(images)
    tensors = [t for t in torch.utils._pytree.tree_flatten(out)[0] if isinstance(t, torch.Tensor)]
    weights = [torch.randn(t.shape, generator=generator).to(t) for t in tensors]
    model.zero_grad()
    sum((t * w).sum() for t, w in zip(tensors, weights, strict=True)).backward()
    # copies: Module.to moves the gradients themselves
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    return tensors, gradients


def build(name):
    """Build a backbone on the CPU in which no gradient is 0, and images for it."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type=name, **copy.deepcopy(BACKBONES[name])))
    model.init_weights()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    images = torch.randn(3, 3, 32, 32 if name == 'T2TViTPerformer' else 48)
    return model.eval(), images  # dropout draws other numbers on another device


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', TOLERANCES, ids=str)
@pytest.mark.parametrize('name', BACKBONES)
def test_outputs_and_gradients(name, dtype, device):
    model, images = (part.to(dtype) for part in build(name))
    outputs, gradients = run(model, images)
    found, found_gradients = run(model.to(device), images.to(device))
    of_outputs, of_gradients = TOLERANCES[dtype]
    for a, b in zip(found, outputs, strict=True):
        assert a.device.type == device.type
        assert relative_difference(a, b) < of_outputs
    for key, expected in gradients.items():
        assert found_gradients[key].device.type == device.type, key
        assert expected.any(), key
        if dtype == torch.float64 or name not in KINKED:
            assert relative_difference(found_gradients[key], expected) < of_gradients, key
