"""Attention maps: applied to the values, they give the output of the module."""

import math

import pytest
import torch
from mmpretrain.models.utils import MultiheadAttention, ShiftWindowMSA
from mmpretrain.registry import MODELS
from small_backbones import SETTINGS, small

from vit_plugins.models.backbones.cvt_stage import CvTBlock
from vit_plugins.models.inspection.attention_maps import (
    NothingToReadError,
    read_attention,
    read_official_attention,
)
from vit_plugins.models.layers.gpsa import GPSA

SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=8, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 2]),
    window_size=4,
    img_size=32,
    pad_small_map=True,
)


def images(name, height=32, width=32):
    factor = 2 if name == 'CvT' else 1
    return torch.randn(2, 3, factor * height, factor * width)


def mixed(attention, v, proj):
    """Return attention (B, h, N, M) applied to values (B, h, M, d)."""
    return proj((attention @ v).transpose(1, 2).flatten(2))


def output_of(module, args, attention):
    """Return the expected output of a module with this attention, and its real output."""
    x = args[0]
    if isinstance(module, GPSA):
        v = module.v(x).unflatten(2, (module.num_heads, -1)).transpose(1, 2)
        return mixed(attention, v, module.proj), module(*args)
    if isinstance(module, MultiheadAttention):
        v = module.qkv(x).unflatten(2, (3, module.num_heads, -1))[:, :, 2].transpose(1, 2)
        return mixed(attention, v, lambda y: module.gamma1(module.proj(y))), module(x)
    if isinstance(module, CvTBlock):
        q, k, v = module.attn.project(module.norm1(x), args[1])
        return mixed(attention, v, module.attn.proj), module.attn.attend(q, k, v)
    assert isinstance(module, ShiftWindowMSA)
    inner = module.w_msa
    v = inner.qkv(x).unflatten(2, (3, inner.num_heads, -1))[:, :, 2].transpose(1, 2)
    return mixed(attention, v, inner.proj), module(*args)


@pytest.mark.parametrize('name', [*SETTINGS, 'Swin'])
def test_maps_are_what_the_modules_mix_values_with(name):
    backbone = MODELS.build(SWIN) if name == 'Swin' else small(name)
    for name_, parameter in backbone.named_parameters():
        if 'qk' in name_ or 'q' in name_.split('_')[-1]:
            parameter.data.normal_(std=0.5)  # attention that is felt
    # of Swin, windows fill the grids of all stages: no attention is lost to padding
    x = images(name, 128, 128) if name == 'Swin' else images(name)
    given = {}
    layers = read_attention(backbone, x)
    modules = dict(backbone.named_modules())
    for layer in layers:
        keep = lambda m, args, found=layer.name: given.setdefault(found, args)  # noqa: E731
        modules[layer.name].register_forward_pre_hook(keep)
    backbone.eval()
    with torch.no_grad():
        backbone(x)
        for layer in layers:
            expected, found = output_of(modules[layer.name], given[layer.name], layer.values)
            torch.testing.assert_close(expected, found, atol=2e-5, rtol=1e-4)
            assert layer.values.shape[2] == layer.num_extra_tokens + math.prod(layer.grid)
            torch.testing.assert_close(layer.values.sum(-1), torch.ones(layer.values.shape[:3]))


def test_grid_extra_tokens_and_gates_are_those_of_the_layer():
    backbone = small('ConViT')
    layers = read_attention(backbone, images('ConViT', 32, 16))
    assert [layer.grid for layer in layers] == [(4, 2)] * 4
    assert [layer.num_extra_tokens for layer in layers] == [0, 0, 1, 1]
    assert layers[0].gates.tolist() == pytest.approx([0.7310586] * 4)
    assert layers[2].gates is None
    row = layers[3].of_query(1, 0)
    assert torch.equal(row.flatten(2), layers[3].values[:, :, 1 + 2, 1:])
    assert torch.equal(layers[3].of_class_token.flatten(2), layers[3].values[:, :, 0, 1:])
    assert layers[0].of_class_token is None


def test_reading_leaves_the_model_as_it_was():
    backbone = small('ConViT', drop_path_rate=0.2, frozen_stages=1)
    backbone.train()
    modes = [module.training for module in backbone.modules()]
    read_attention(backbone, images('ConViT'))
    with pytest.raises(ZeroDivisionError):
        read_attention(backbone, images('ConViT'), lambda layer: 1 / 0)
    read_official_attention(backbone, images('ConViT'))
    assert [module.training for module in backbone.modules()] == modes
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in backbone.modules())


def test_official_reading_gives_each_layer_the_patch_embedding():
    backbone = small('ConViT')
    x = images('ConViT')
    official, propagated = read_official_attention(backbone, x), read_attention(backbone, x)
    tokens, grid = backbone.patch_embed(x)
    for number in (0, 1):
        expected = backbone.layers[number].attn.get_attention_map(tokens, grid)
        torch.testing.assert_close(official[number].values, expected)
        assert not torch.allclose(official[number].values, propagated[number].values, atol=1e-6)
    assert [layer.num_extra_tokens for layer in official] == [0] * 4  # no class token there


@pytest.mark.parametrize('name', ['CvT', 'T2TViTPerformer', 'HybridViT'])
def test_official_reading_needs_tokens_of_one_width(name):
    backbone = small(name)
    if name == 'CvT':
        with pytest.raises(NothingToReadError, match=r'CvT does not allow.*mode=.propagated'):
            read_official_attention(backbone, images(name))
    else:
        assert read_official_attention(backbone, images(name))


def test_a_network_without_attention_is_told_which_have_it():
    resnet = MODELS.build(dict(type='ResNet', depth=18, base_channels=4, stem_channels=4))
    with pytest.raises(
        NothingToReadError, match=r'ResNet has no attention.*ConViT, ViT.*CvT have'
    ):
        read_attention(resnet, images('ResNet'))
    pool = dict(type='PoolFormer', arch=dict(
        layers=[1, 1, 1, 1], embed_dims=[8, 8, 8, 8], mlp_ratios=[1, 1, 1, 1],
        layer_scale_init_value=1e-5))  # fmt: skip
    with pytest.raises(NothingToReadError, match='PoolFormer has no attention'):
        read_attention(MODELS.build(pool), torch.zeros(1, 3, 64, 64))  # its embedding has no grid


def test_windows_of_a_padded_grid_leave_the_padding_out():
    layers = read_attention(MODELS.build(SWIN), images('Swin', 24, 40))
    shifted = layers[1]  # 6 x 10 patches in windows of 4
    assert shifted.values.shape == (2, 1, 60, 60)
    torch.testing.assert_close(shifted.values.sum(-1), torch.ones(2, 1, 60))
