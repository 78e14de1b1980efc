"""Tests for ConViT alone; test_contract.py has the tests of all backbones."""

import math
from functools import partial

import pytest
import small_backbones
import torch
from small_backbones import meta_classifier, official_weights, timm_convit
from timm.models.convit import ConVit as TimmConViT
from torch import nn

from vit_plugins.models.backbones.convit import ConViT
from vit_plugins.models.layers.gpsa import GPSA
from vit_plugins.models.layers.positional_attention import local_pos_weight

small = partial(small_backbones.small, 'ConViT')
classifier = partial(small_backbones.classifier, 'ConViT')


# --- size and shape -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arch', 'dims', 'params'),
    [
        ('tiny', 192, 5_710_512),
        ('tiny-plus', 256, 9_972_912),
        ('small', 432, 27_777_322),
        ('small-plus', 576, 48_979_882),
        ('base', 768, 86_540_040),
        ('base-plus', 1024, 153_134_856),
    ],
)
def test_parameters_of_the_six_architectures(arch, dims, params):
    model = meta_classifier('ConViT', dims, arch=arch)
    assert sum(param.numel() for param in model.parameters()) == params
    assert len(model.state_dict()) == 180
    frozen = [name for name, param in model.named_parameters() if not param.requires_grad]
    assert frozen == [f'backbone.layers.{i}.attn.pos_proj.bias' for i in range(10)]


def test_there_is_no_class_token_in_the_local_layers():
    model = small(out_type='raw', out_indices=(0, 1, 2, 3))
    shapes = [tuple(out.shape) for out in model(torch.randn(2, 3, 48, 40))]
    assert shapes == [(2, 30, 32), (2, 30, 32), (2, 31, 32), (2, 31, 32)]
    model.out_type = 'featmap'
    assert {out.shape[2:] for out in model(torch.randn(2, 3, 48, 40))} == {(6, 5)}


@pytest.mark.parametrize('size', [(30, 33), (25, 40)])
def test_size_that_the_patch_does_not_divide_is_padded_as_in_the_host(size):
    images = torch.randn(1, 3, *size)
    padded = torch.zeros(1, 3, *(8 * math.ceil(n / 8) for n in size))
    padded[:, :, : size[0], : size[1]] = images
    model = small().eval()
    torch.testing.assert_close(model(images), model(padded))
    assert small(img_size=size).patch_resolution == tuple(n // 8 for n in padded.shape[2:])


def test_geometry_is_that_of_the_true_grid():
    model = small(use_pos_embed=False, out_type='avg_featmap').eval()
    with torch.no_grad():
        patches = torch.randn(1, 3, 16, 8, 8)  # the same patches, in rows of four or of eight
        square = patches.unflatten(2, (4, 4)).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 32, 32)
        wide = patches.unflatten(2, (2, 8)).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 16, 64)
        assert not torch.allclose(*model(square), *model(wide), atol=1e-4)
        blind = small(use_pos_embed=False, out_type='avg_featmap', gate=0).eval()
        torch.testing.assert_close(blind(square), blind(wide))


# --- against timm -------------------------------------------------------------------------------


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 5e-6), (torch.double, 1e-12)])
@pytest.mark.parametrize('bias', [False, True])
def test_equals_timm(dtype, tol, bias):
    timms, ours = timm_convit(qkv_bias=bias), classifier(qkv_bias=bias).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(('arch', 'heads'), [('tiny', 4), ('small', 9)])
def test_equals_timm_at_full_size(arch, heads):
    timms = timm_convit(
        img_size=224, patch_size=16, embed_dim=48, depth=12, num_heads=heads, local_up_to_layer=10
    )
    ours = classifier(
        arch=ConViT.arch_zoo[arch], img_size=224, patch_size=16, num_local_layers=10
    ).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), timms(images), atol=5e-6, rtol=0)
        out, expected = (model.double()(images.double()) for model in (ours, timms))
        torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='huge'), "arch 'huge' is none of tiny, tiny-plus"),
        (
            dict(num_local_layers=4),
            r'num_local_layers \(4\) .*smaller than .*layers \(4\): the class',
        ),
        (dict(num_local_layers=-1), r'num_local_layers \(-1\)'),
        (dict(out_indices=(1, 3)), "out_type='cls_token' with .*num_local_layers=2 .*'featmap'"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


# --- initialisation -----------------------------------------------------------------------------


def test_init_weights():
    model = classifier().backbone
    model.init_weights()
    local = [layer.attn for layer in model.layers if layer.is_local]
    special = {module for attn in local for module in (attn.v, attn.pos_proj)}
    linears = {m for m in model.modules() if isinstance(m, nn.Linear)} - special
    assert len(linears) == 2 * 4 + 2 * 4  # qk or qkv, proj, fc1, fc2
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.15)  # not Xavier
        assert linear.bias is None or not linear.bias.any()
    assert 0.015 < model.pos_embed.std().item() < 0.025
    assert model.cls_token.any()


def test_start_survives_the_init_of_the_classifier():
    model = classifier()
    model.init_cfg = dict(type='TruncNormal', layer='Linear', std=0.02)
    model.init_weights()
    for layer in model.backbone.layers[:2]:
        assert torch.equal(layer.attn.v.weight, torch.eye(32))
        assert torch.equal(layer.attn.pos_proj.weight, local_pos_weight(4))
        assert layer.attn.gating_param.sigmoid().tolist() == pytest.approx([0.7310586] * 4)


# --- loading ------------------------------------------------------------------------------------


def test_all_180_keys_of_the_real_size():
    model = meta_classifier('ConViT', 192, arch='tiny')
    with torch.device('meta'):
        settings = dict(img_size=224, patch_size=16, embed_dim=48, depth=12, num_classes=1000)
        weights = TimmConViT(**settings, num_heads=4, local_up_to_layer=10).state_dict()
    assert len(weights) == 180
    renamed = dict(weights)
    model.backbone._checkpoint_filter(renamed, '')
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in renamed.items()} == shapes


def test_without_position_embedding_a_checkpoint_that_has_one_names_it():
    with pytest.raises(RuntimeError, match='pos_embed'):
        small(use_pos_embed=False).load_state_dict(official_weights('ConViT'))


def test_fixed_gate_is_not_loaded():
    model = small(gate=0.5)
    model.load_state_dict(official_weights('ConViT'))
    assert not model.layers[0].attn.gating_param.any()


# --- in other people's tools --------------------------------------------------------------------


def test_local_layers_are_gpsa():
    kinds = [isinstance(layer.attn, GPSA) for layer in small().layers]
    assert kinds == [True, True, False, False]
