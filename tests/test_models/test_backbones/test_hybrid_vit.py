"""Tests for HybridViT alone; test_contract.py has the tests of all backbones."""

from functools import partial

import pytest
import small_backbones
import timm
import torch
from small_backbones import HYBRID_ARCH, meta_classifier, timm_hybrid

from vit_plugins.models.backbones.hybrid_vit import HybridViT
from vit_plugins.weights.names.hybrid import HYBRID_NAMES

small = partial(small_backbones.small, 'HybridViT')
classifier = partial(small_backbones.classifier, 'HybridViT')


# --- size and shape -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arch', 'stem', 'dims', 'params', 'timms'),
    [
        ('small', 'r26-s32', 384, 36_431_912, 'vit_small_r26_s32_224'),
        ('base', 'r26-s32', 768, 101_383_976, 'vit_base_r26_s32_224'),
        ('base', 'r50-s16', 768, 98_659_112, 'vit_base_r50_s16_224'),
        ('large', 'r50-s32', 1024, 328_994_856, 'vit_large_r50_s32_224'),
    ],
)
def test_parameters_and_names_are_those_of_timm(arch, stem, dims, params, timms):
    model = meta_classifier('HybridViT', dims, arch=arch, stem=stem)
    assert sum(param.numel() for param in model.parameters()) == params
    assert all(param.requires_grad for param in model.parameters())
    with torch.device('meta'):
        renamed = dict(timm.create_model(timms, num_classes=1000).state_dict())
    model.backbone._checkpoint_filter(renamed, '')
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in renamed.items()} == shapes


@pytest.mark.parametrize(('stem', 'tokens'), [('r26-s32', 49), ('r50-s32', 49), ('r50-s16', 196)])
def test_stride(stem, tokens):
    with torch.device('meta'):
        model = HybridViT(arch=HYBRID_ARCH, stem=stem, out_type='raw')
        (out,) = model(torch.empty(1, 3, 224, 224))
    assert out.shape == (1, 1 + tokens, 32)
    assert model.pos_embed.shape == out.shape


@pytest.mark.parametrize('size', [(45, 39), (5, 1)])
def test_a_size_that_the_stride_does_not_divide_is_padded(size):
    grid = (-(-size[0] // 8), -(-size[1] // 8))
    (out,) = small(out_type='featmap')(torch.randn(2, 3, *size))
    assert out.shape == (2, 32, *grid)
    assert small(img_size=size).patch_resolution == grid


# --- against timm -------------------------------------------------------------------------------


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 1e-5), (torch.double, 1e-12)])
@pytest.mark.parametrize('size', [(32, 32), (16, 64), (39, 45)])
def test_equals_timm(dtype, tol, size):
    timms, ours = timm_hybrid(size), classifier(img_size=size).eval()
    weights = timms.state_dict()
    if size[0] != size[1]:  # an official file has a square grid, one of ours any
        weights = HYBRID_NAMES.convert(weights)
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, *size, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


def test_feature_maps_equal_timm():
    timms, images = timm_hybrid(), torch.randn(2, 3, 32, 32)
    ours = small(out_type='featmap', out_indices=(0, 1)).eval()
    load = ours.load_state_dict(timms.state_dict(), strict=False)
    assert (load.missing_keys, load.unexpected_keys) == ([], [])
    expected = timms.forward_intermediates(images, [0, 1], intermediates_only=True)
    torch.testing.assert_close(list(ours(images)), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arch', 'stem', 'name'),
    [
        ('small', 'r26-s32', 'vit_small_r26_s32_224'),
        ('base', 'r50-s16', 'vit_base_r50_s16_224'),
    ],
)
def test_equals_timm_at_full_size(arch, stem, name):
    timms = timm.create_model(name, num_classes=10).eval()
    with torch.no_grad():
        for param in timms.parameters():
            if param.ndim == 1:
                param.add_(0.2 * torch.randn_like(param))
    ours = classifier(
        arch=HybridViT.arch_zoo[arch], stem=stem, stem_channels=64, img_size=224
    ).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), timms(images), atol=1e-5, rtol=0)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='huge'), "arch 'huge' is none of s, small, b, base, l, large"),
        (dict(stem='r101'), "stem 'r101' is none of r26-s32, r50-s32, r50-s16"),
        (dict(stem=()), r'stem \(\) must be one of r26-s32, .* or a list with the number'),
        (dict(stem=(1, 0)), r'stem \(1, 0\) must be one of'),
        (dict(stem=2), 'stem 2 must be one of'),
        (dict(stem=(1, 'a')), r"stem \(1, 'a'\) must be one of"),
        (dict(stem_channels=48), r'stem_channels \(48\) must be a multiple of 32'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


# --- initialisation -----------------------------------------------------------------------------


def test_start_is_that_of_the_papers_code():
    model = classifier()
    model.init_weights()
    backbone, stem = model.backbone, model.backbone.patch_embed.stem
    for stage in stem.stages:
        for block in stage:
            assert not block.unit3.norm.weight.any()  # the block is its shortcut
            assert block.unit2.norm.weight.eq(1).all()
    bound = (6 / 64) ** 0.5  # Xavier, of 32 x 32
    for layer in backbone.layers:
        weights = [*layer.attn.qkv.weight.chunk(3), layer.attn.proj.weight]
        assert all(0.9 * bound < w.abs().max() <= bound for w in weights)
        assert not layer.attn.qkv.bias.any()
        assert 1e-7 < layer.ffn.layers[0][0].bias.std() < 2e-6
    assert not backbone.cls_token.any()
    assert 0.018 < backbone.pos_embed.std() < 0.022
    std = backbone.patch_embed.projection.weight.std()
    assert 0.9 < std * 256**0.5 < 1.1  # Lecun
    assert not model.head.layers.head.weight.any()  # the fine-tuning head starts at zero
    assert not model.head.layers.head.bias.any()


def test_init_cfg_is_obeyed_by_the_layers():
    model = small(init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02))
    model.init_weights()
    for layer in model.layers:
        for linear in (layer.attn.qkv, layer.ffn.layers[0][0], layer.ffn.layers[1]):
            assert 0.015 < linear.weight.std() < 0.025
            assert not linear.bias.any()
