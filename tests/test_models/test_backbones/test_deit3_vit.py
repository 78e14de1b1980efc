"""Tests for DeiT3ViT alone; test_contract.py has the tests of all backbones."""

from functools import partial

import pytest
import small_backbones
import timm
import torch
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from small_backbones import ARCH, SETTINGS, meta_classifier, timm_deit3
from torch import nn

from vit_plugins.models.backbones.deit3_vit import DeiT3ViT

SMALL = SETTINGS['DeiT3ViT']
small = partial(small_backbones.small, 'DeiT3ViT')
classifier = partial(small_backbones.classifier, 'DeiT3ViT')
# Name, width, parameters with 1000 classes, the timm model of the same number where there is one.
ARCHS = (
    ('tiny', 192, 5_721_832, None),
    ('small', 384, 22_059_496, 'deit3_small_patch16_224'),
    ('medium', 512, 38_849_512, 'deit3_medium_patch16_224'),
    ('base', 768, 86_585_320, 'deit3_base_patch16_224'),
    ('large', 1024, 304_374_760, 'deit3_large_patch16_224'),
    ('huge', 1280, 632_126_440, 'deit3_huge_patch14_224'),
    ('huge-52', 1280, 1_025_726_440, None),
)


def official_weights(names: str = 'timm', **kwargs) -> dict:
    """Return weights under timm's names, or those of facebookresearch/deit."""
    weights = timm_deit3(**kwargs).state_dict()
    if names == 'timm':
        return weights
    renamed = {'ls1.gamma': 'gamma_1', 'ls2.gamma': 'gamma_2'}
    return {k.replace(k[-9:], renamed.get(k[-9:], k[-9:])): v for k, v in weights.items()}


# --- size and shape -----------------------------------------------------------------------------


@pytest.mark.parametrize(('arch', 'dims', 'params', 'timms'), ARCHS)
def test_parameters_and_official_keys_of_each_architecture(arch, dims, params, timms):
    model = meta_classifier('DeiT3ViT', dims, arch=arch)
    assert sum(param.numel() for param in model.parameters()) == params
    assert all(param.requires_grad for param in model.parameters())
    if timms is None:
        return
    with torch.device('meta'):
        weights = timm.create_model(timms).state_dict()
    renamed = dict(weights)
    model.backbone._checkpoint_filter(renamed, '')
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in renamed.items()} == shapes


@pytest.mark.parametrize('arch', ['tiny', 'small', 'medium', 'base', 'large', 'huge', 'huge-52'])
def test_short_names(arch):
    short = arch.replace(arch.split('-')[0], arch[0])
    assert DeiT3ViT.arch_zoo[short] == DeiT3ViT.arch_zoo[arch]


@pytest.mark.parametrize(
    ('size', 'tokens'), [(224, 256), (154, 121), (126, 81), (160, 121), (128, 81)]
)
def test_tokens_of_the_huge_model_are_counted_as_officially(size, tokens, monkeypatch):
    shallow = {**DeiT3ViT.arch_zoo['huge'], 'num_layers': 1}
    monkeypatch.setitem(DeiT3ViT.arch_zoo, 'huge', shallow)
    with torch.device('meta'):
        built = DeiT3ViT(arch='huge', img_size=size)
        assert built.pos_embed.shape == (1, tokens, 1280)
        usual = DeiT3ViT('huge', out_type='featmap')
        grid = usual.patch_embed(torch.empty(1, 3, size, size))[1]
    assert grid[0] * grid[1] == tokens
    padded = -(-size // 14)
    with torch.device('meta'):  # as the host counts
        other = DeiT3ViT('huge', size, patch_cfg=dict(padding='corner'))
    assert other.patch_resolution == (padded, padded)


def test_what_is_left_beside_whole_patches_is_not_seen():
    model, images = small().eval(), torch.randn(1, 3, 45, 39)
    torch.testing.assert_close(model(images), model(images[:, :, :40, :32]))
    assert small(img_size=(45, 39)).patch_resolution == (5, 4)


# --- against timm and the host ------------------------------------------------------------------


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 1e-5), (torch.double, 1e-12)])
@pytest.mark.parametrize('names', ['timm', 'official'])
def test_equals_timm(dtype, tol, names):
    torch.manual_seed(0)
    weights = official_weights(names)
    torch.manual_seed(0)
    timms, ours = timm_deit3(), classifier().eval()
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 32, 32, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


def test_feature_maps_equal_timm():
    timms, images = timm_deit3(), torch.randn(2, 3, 32, 32)
    ours = small(out_type='featmap', out_indices=(0, 2, 3)).eval()
    load = ours.load_state_dict(timms.state_dict(), strict=False)
    assert (load.missing_keys, load.unexpected_keys) == ([], [])
    expected = timms.forward_intermediates(images, [0, 2, 3], intermediates_only=True)
    expected[-1] = timms.forward_features(images)[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(list(ours(images)), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(('arch', 'size'), [('small', 224), ('base', 96)])
def test_equals_timm_at_full_size(arch, size):
    timms = timm.create_model(f'deit3_{arch}_patch16_224', num_classes=10, img_size=size).eval()
    with torch.no_grad():
        for param in timms.parameters():
            if param.ndim == 1:
                param.add_(0.2 * torch.randn_like(param))
    ours = classifier(arch=DeiT3ViT.arch_zoo[arch], patch_size=16, img_size=size).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), timms(images), atol=1e-5, rtol=0)


def host_deit3(**kwargs) -> nn.Module:
    settings = {**SMALL, **kwargs}
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=32)
    with pytest.warns(UserWarning, match='use_layer_scale'):
        return MODELS.build(
            dict(type='ImageClassifier', backbone=dict(type='DeiT3', **settings), head=head)
        )


def test_names_are_those_of_the_host_and_its_weights_load_strictly(tmp_path):
    """OpenMMLab's released files have these names; the host's layer uses ln1 twice."""
    host = host_deit3().eval()
    assert list(host.state_dict()) == list(classifier().state_dict())
    with torch.no_grad():
        for param in host.parameters():
            if param.ndim == 1:
                param.add_(torch.randn_like(param))
    file, ours, bare = str(tmp_path / 'host.pth'), classifier().eval(), small()
    torch.save({'state_dict': host.state_dict(), 'meta': {}}, file)
    load_checkpoint(ours, file, strict=True)
    load_checkpoint(bare, file, strict=True)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, host.state_dict()[name]), name
    images = torch.randn(2, 3, 32, 32)
    assert (ours(images) - host(images)).abs().max() > 0.01
    for layer in ours.backbone.layers:
        layer.ln2.load_state_dict(layer.ln1.state_dict())
    torch.testing.assert_close(ours(images), host(images))


def test_weights_of_a_host_model_of_another_size_are_resized(tmp_path):
    file, ours = str(tmp_path / 'host.pth'), classifier()
    host = host_deit3(img_size=64)
    torch.save({'state_dict': host.state_dict()}, file)
    load_checkpoint(ours, file, strict=True)
    square = host.backbone.pos_embed.transpose(1, 2).unflatten(2, (8, 8))
    expected = nn.functional.interpolate(square, (4, 4), mode='bicubic')
    torch.testing.assert_close(
        ours.backbone.pos_embed, expected.flatten(2).transpose(1, 2), atol=1e-6, rtol=1e-5
    )


# --- arguments ----------------------------------------------------------------------------------


def test_attention_is_the_fused_one(monkeypatch):
    """No N x N matrix per head is kept, so that L and H fit into memory."""
    model, images = small(), torch.randn(1, 3, 32, 32)
    (expected,) = model(images)
    attention, seen = model.layers[0].attn, []

    def spy(q, k, v, **kwargs):
        seen.append(q.shape)
        return nn.functional.scaled_dot_product_attention(q, k, v, **kwargs)

    assert attention.scaled_dot_product_attention is nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(attention, 'scaled_dot_product_attention', spy)
    torch.testing.assert_close(model(images)[0], expected)
    assert seen == [(1, 4, 17, 8)]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='giant'), "arch 'giant' is none of t, tiny, s, small"),
        (dict(img_size=7), r'img_size \(7\) is smaller than a patch \(8\)'),
        (dict(with_cls_token=False), "with_cls_token=False: there is none .*'avg_featmap'"),
        (dict(layer_scale_init_value=-1), r'layer_scale_init_value \(-1\) must be >= 0'),
        (dict(layer_cfgs=[{}] * 3), 'layer_cfgs has 3 dicts for 4 layers'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


# --- initialisation -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'init_cfg', [None, dict(type='Xavier', layer='Linear', bias=1.0)], ids=['none', 'another']
)
def test_official_start_survives_the_init_of_the_classifier(init_cfg):
    model = classifier(arch={**ARCH, 'embed_dims': 64})
    patches = model.backbone.patch_embed.projection.weight.clone()
    model.init_cfg = init_cfg
    model.init_weights()
    backbone = model.backbone
    linears = [module for module in backbone.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == 4 * 4
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not linear.bias.any()
    for bare in (backbone.pos_embed, backbone.cls_token):
        assert bare.std().item() == pytest.approx(0.02, rel=0.3)
        assert bare.abs().max() < 0.1
    assert torch.equal(backbone.patch_embed.projection.weight, patches)  # torch's default
    for layer in backbone.layers:
        for gamma in (layer.attn.gamma1.weight, layer.ffn.gamma2.weight):
            assert torch.equal(gamma, torch.full((64,), 1e-4))


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize('head', ['VisionTransformerClsHead', 'VisionTransformerBCEHead'])
def test_official_files_load_with_the_drloc_head_and_its_kin(tmp_path, head):
    timms, plain = timm_deit3(), dict(type=head, num_classes=10, in_channels=32)
    drloc = dict(type='DRLocHead', in_channels=32, num_pairs=4, head=plain)
    backbone = dict(type='DeiT3ViT', **SMALL, out_type='raw')
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=drloc)).eval()
    torch.save(timms.state_dict(), tmp_path / 'timm.pth')
    load_checkpoint(model, str(tmp_path / 'timm.pth'), strict=True)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model(images), timms(images), atol=1e-5, rtol=0)
