import copy
from functools import partial

import pytest
import timm
import torch
import torch.multiprocessing as mp
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from timm.layers import HybridEmbed, StdConv2dSame
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn

from vit_plugins.engine.launch import end_ranks
from vit_plugins.models.backbones.hybrid_vit import HybridViT
from vit_plugins.weights.names.hybrid import HYBRID_NAMES

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=128)
SMALL = dict(arch=ARCH, stem=(1, 2), stem_channels=32, img_size=32)  # stride 8: a grid of 4 x 4
SWITCHES = {
    'default': {},
    'no final norm': dict(final_norm=False),
    'no qkv bias': dict(qkv_bias=False),
    'dropout': dict(drop_rate=0.2, drop_path_rate=0.2),
    'checkpointing': dict(with_cp=True),
    'feature maps': dict(out_type='featmap', out_indices=(0, 1, 2)),
    'early feature map': dict(out_type='featmap', out_indices=1),
    'average': dict(out_type='avg_featmap'),
    'raw': dict(out_type='raw'),
    'stem frozen': dict(frozen_stages=0),
    'stages frozen': dict(frozen_stages=2),
}


def small(**kwargs) -> HybridViT:
    return HybridViT(**{**SMALL, **kwargs})


def classifier(num_classes: int = 10, dims: int = 32, **backbone) -> nn.Module:
    head = dict(type='VisionTransformerClsHead', num_classes=num_classes, in_channels=dims)
    backbone = dict(type='HybridViT', **{**SMALL, **backbone})
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


def small_timm(img_size: int | tuple[int, int] = 32, **kwargs) -> TimmViT:
    """Build timm's hybrid as its ``vit_*_r*`` models are, with norms that are felt."""
    resnet = ResNetV2(
        layers=(1, 2),
        channels=(128, 256),
        stem_chs=32,
        num_classes=0,
        global_pool='',
        preact=False,
        stem_type='same',
        conv_layer=partial(StdConv2dSame, eps=1e-8),
    )
    model = TimmViT(
        img_size=img_size,
        patch_size=1,
        embed_dim=32,
        depth=3,
        num_heads=4,
        num_classes=10,
        embed_layer=partial(HybridEmbed, backbone=resnet),
        **kwargs,
    ).eval()
    with torch.no_grad():
        for param in model.parameters():
            if param.ndim == 1:
                param.add_(0.3 * torch.randn_like(param))
    return model


def holds(model: HybridViT, weights: dict) -> bool:
    """Tell whether one weight of each kind has arrived."""
    timms, ours = 'patch_embed.backbone.', 'patch_embed.stem.'
    names = {
        'cls_token': 'cls_token',
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        timms + 'stem.norm.bias': ours + 'root.norm.bias',
        timms + 'stages.1.blocks.1.conv2.weight': ours + 'stages.1.1.unit2.conv.weight',
        timms + 'stages.1.blocks.0.downsample.norm.weight': ours
        + 'stages.1.0.shortcut.norm.weight',
        'blocks.2.attn.qkv.bias': 'layers.2.attn.qkv.bias',
        'norm.weight': 'ln1.weight',
    }
    own = model.state_dict()
    return all(torch.equal(own[ours], weights[theirs]) for theirs, ours in names.items())


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
    with torch.device('meta'):
        model = classifier(1000, dims, arch=arch, stem=stem, stem_channels=64, img_size=224)
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
        model = HybridViT(arch=ARCH, stem=stem, out_type='raw')
        (out,) = model(torch.empty(1, 3, 224, 224))
    assert out.shape == (1, 1 + tokens, 32)
    assert model.pos_embed.shape == out.shape


@pytest.mark.parametrize('size', [(32, 32), (16, 64), (45, 39), (5, 1)])
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap', 'cls_token'])
def test_output_shapes(size, out_type):
    h, w = -(-size[0] // 8), -(-size[1] // 8)
    shapes = dict(raw=(2, 1 + h * w, 32), featmap=(2, 32, h, w))
    outs = small(out_type=out_type, out_indices=(0, -2, 2))(torch.randn(2, 3, *size))
    assert isinstance(outs, tuple)
    assert [tuple(out.shape) for out in outs] == [shapes.get(out_type, (2, 32))] * 3
    assert small(img_size=size).patch_resolution == (h, w)


def test_output_types_agree():
    images, model = torch.randn(2, 3, 32, 64), small(out_type='raw').eval()
    (raw,) = model(images)
    outs = {}
    for model.out_type in ('cls_token', 'featmap', 'avg_featmap'):
        (outs[model.out_type],) = model(images)
    torch.testing.assert_close(outs['cls_token'], raw[:, 0])
    torch.testing.assert_close(outs['featmap'].flatten(2).transpose(1, 2), raw[:, 1:])
    torch.testing.assert_close(outs['avg_featmap'], raw[:, 1:].mean(1))


# --- against timm -------------------------------------------------------------------------------


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 1e-5), (torch.double, 1e-12)])
@pytest.mark.parametrize('size', [(32, 32), (16, 64), (39, 45)])
def test_equals_timm(dtype, tol, size):
    timms, ours = small_timm(size), classifier(img_size=size).eval()
    weights = timms.state_dict()
    if size[0] != size[1]:  # an official file has a square grid, one of ours any
        weights = HYBRID_NAMES.convert(weights)
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, *size, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


def test_gradients_equal_timm():
    timms, ours = small_timm(), classifier()
    ours.load_state_dict(timms.state_dict())
    images, target = torch.randn(2, 3, 32, 32), torch.randn(2, 10)
    for model in (ours, timms):
        (model(images) * target).sum().backward()
    expected = HYBRID_NAMES.convert({n: param.grad for n, param in timms.named_parameters()})
    assert len(expected) == len(list(ours.parameters()))
    for name, param in ours.named_parameters():
        error = (param.grad - expected[name]).norm() / expected[name].norm()
        assert error < 1e-5, name


def test_feature_maps_equal_timm():
    timms, images = small_timm(), torch.randn(2, 3, 32, 32)
    ours = small(out_type='featmap', out_indices=(0, 1)).eval()
    load = ours.load_state_dict(timms.state_dict(), strict=False)
    assert (load.missing_keys, load.unexpected_keys) == ([], [])
    expected = timms.forward_intermediates(images, [0, 1], intermediates_only=True)
    torch.testing.assert_close(list(ours(images)), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arch', 'stem', 'dims', 'name'),
    [
        ('small', 'r26-s32', 384, 'vit_small_r26_s32_224'),
        ('base', 'r50-s16', 768, 'vit_base_r50_s16_224'),
    ],
)
def test_equals_timm_at_full_size(arch, stem, dims, name):
    timms = timm.create_model(name, num_classes=10).eval()
    with torch.no_grad():
        for param in timms.parameters():
            if param.ndim == 1:
                param.add_(0.2 * torch.randn_like(param))
    ours = classifier(10, dims, arch=arch, stem=stem, stem_channels=64, img_size=224).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), timms(images), atol=1e-5, rtol=0)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'change',
    [
        dict(arch={**ARCH, 'num_heads': 2}),
        dict(stem=(2, 1)),
        dict(stem=(1,)),
        dict(stem_channels=64),
        dict(img_size=64),
        dict(out_type='avg_featmap'),
        dict(out_indices=1),
        dict(interpolate_mode='bilinear'),
        dict(drop_rate=0.3),
        dict(drop_path_rate=0.3),
        dict(qkv_bias=False),
        dict(norm_cfg=dict(type='LN', eps=0.1)),
        dict(final_norm=False),
        dict(frozen_stages=1),
        dict(layer_cfgs=dict(act_cfg=dict(type='GELU', approximate='tanh'))),
        dict(init_cfg=dict(type='Constant', layer='Linear', val=0.05)),
    ],
    ids=lambda change: '-'.join(change),
)
def test_each_argument_changes_output_gradient_or_state(change):
    seen = []
    for kwargs in ({}, change):
        torch.manual_seed(0)
        model = small(**kwargs)
        model.init_weights()
        model.train()
        torch.manual_seed(1)
        out = model(torch.randn(4, 3, 32, 48))[-1]
        out.square().sum().backward()
        trained = {n: tuple(p.shape) for n, p in model.named_parameters() if p.grad is not None}
        seen.append((out, trained))
    (out, trained), (other, other_trained) = seen
    same_output = out.shape == other.shape and torch.allclose(out, other, atol=1e-6)
    assert not same_output or trained != other_trained


def test_in_channels():
    assert small(in_channels=1)(torch.randn(1, 1, 32, 32))[0].shape == (1, 32)


def test_with_cp_recomputes_and_changes_no_gradient():
    images = torch.randn(2, 3, 32, 32)
    grads, calls = [], []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = small(with_cp=with_cp, drop_rate=0.2, drop_path_rate=0.2).train()
        count = []
        for module in (model.layers[1].attn, model.patch_embed.stem.stages[1][0]):
            module.register_forward_hook(lambda *_, count=count: count.append(1))
        torch.manual_seed(1)
        model(images)[0].square().sum().backward()
        calls.append(len(count))
        grads.append([p.grad for p in model.parameters()])
    assert calls == [2, 4]
    torch.testing.assert_close(*grads)


def test_drop_path_grows_linearly():
    with torch.device('meta'):
        model = HybridViT(arch='base', drop_path_rate=0.1)
    rates = [
        (layer.attn.out_drop.drop_prob, layer.ffn.dropout_layer.drop_prob)
        for layer in model.layers
    ]
    assert rates == [(pytest.approx(0.1 * i / 11),) * 2 for i in range(12)]


@pytest.mark.parametrize('settings', SWITCHES.values(), ids=SWITCHES)
def test_every_trained_parameter_gets_a_gradient(settings):
    model = small(**settings).train()
    sum(out.square().sum() for out in model(torch.randn(2, 3, 32, 32))).backward()
    for name, param in model.named_parameters():
        assert (param.grad is not None) == param.requires_grad, name


@pytest.mark.parametrize('stages', [-1, 0, 2, 3])
def test_frozen_stages(stages):
    model = small(frozen_stages=stages, drop_rate=0.5).train()
    images = torch.randn(1, 3, 32, 32)
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    stem = {'cls_token', 'pos_embed', 'patch_embed.projection.weight'}
    stem |= {name for name in dict(model.named_parameters()) if name.startswith('patch_embed.')}
    assert stem & trained == (stem if stages < 0 else set())
    for i, layer in enumerate(model.layers):
        frozen = i < stages
        assert layer.training != frozen
        assert any(name.startswith(f'layers.{i}.') for name in trained) != frozen
    assert ('ln1.weight' in trained) == (stages < 3)
    if stages == 3:  # no dropout is left: evaluation mode survived model.train()
        torch.testing.assert_close(model(images), model(images))


@pytest.mark.parametrize(
    ('name', 'depth'),
    [
        ('backbone.cls_token', 0),
        ('backbone.pos_embed', 0),
        ('backbone.patch_embed.stem.stages.1.0.unit1.conv.weight', 0),
        ('backbone.layers.0.attn.qkv.weight', 1),
        ('backbone.layers.2.ln2.bias', 3),
        ('backbone.ln1.weight', 4),
        ('head.layers.head.weight', 4),
    ],
)
def test_layer_depth(name, depth):
    model = classifier()
    assert name in dict(model.named_parameters())
    assert model.get_layer_depth(name) == (depth, 5)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='huge'), "arch 'huge' is none of s, small, b, base, l, large"),
        (dict(arch=dict(embed_dims=32)), 'lacks feedforward_channels, num_heads, num_layers'),
        (dict(stem='r101'), "stem 'r101' is none of r26-s32, r50-s32, r50-s16"),
        (dict(stem=()), r'stem \(\) must be one of r26-s32, .* or a list with the number'),
        (dict(stem=(1, 0)), r'stem \(1, 0\) must be one of'),
        (dict(stem=2), 'stem 2 must be one of'),
        (dict(stem=(1, 'a')), r"stem \(1, 'a'\) must be one of"),
        (dict(stem_channels=48), r'stem_channels \(48\) must be a multiple of 32'),
        (dict(out_type='tokens'), "out_type 'tokens' is none of cls_token, featmap"),
        (dict(out_indices=3), r'out_indices \[3\] must name layers between -3 and 2'),
        (dict(interpolate_mode='nearest'), "'nearest' is none of bicubic, bilinear"),
        (dict(frozen_stages=4), r'frozen_stages \(4\) must be between -1 and 3'),
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


# --- loading ------------------------------------------------------------------------------------


def save(tmp_path, content) -> str:
    torch.save(content, tmp_path / 'weights.pth')
    return str(tmp_path / 'weights.pth')


@pytest.mark.parametrize('wrap', [lambda w: w, lambda w: {'model': w, 'epoch': 3}])
@pytest.mark.parametrize('bare', [False, True])
def test_timm_files_load_strictly(tmp_path, wrap, bare):
    timms = small_timm()
    model = small() if bare else classifier()
    load_checkpoint(model, save(tmp_path, wrap(timms.state_dict())), strict=not bare)
    assert holds(model if bare else model.backbone, timms.state_dict())
    images = torch.randn(1, 3, 32, 32)
    if not bare:
        torch.testing.assert_close(model.eval()(images), timms(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize('size', [(64, 48), (16, 64)])  # (16, 64): as many tokens as 32 x 32
def test_position_embedding_is_resized_at_load_and_in_forward(size):
    weights, images = small_timm().state_dict(), torch.randn(1, 3, *size)
    square, other = classifier().eval(), classifier(img_size=size).eval()
    for model in (square, other):
        model.load_state_dict(weights)
    grid = weights['pos_embed'][:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    expected = nn.functional.interpolate(grid, (size[0] // 8, size[1] // 8), mode='bicubic')
    embed = other.backbone.pos_embed
    torch.testing.assert_close(embed[:, 1:], expected.flatten(2).transpose(1, 2))
    assert torch.equal(embed[:, :1], weights['pos_embed'][:, :1])
    torch.testing.assert_close(square(images), other(images))


@pytest.mark.parametrize('state_dict', [lambda model: model.state_dict(), get_state_dict])
def test_own_checkpoints_know_their_grid(tmp_path, state_dict):
    wide = small(img_size=(16, 64))
    file = save(tmp_path, state_dict(wide))
    again, square = small(img_size=(16, 64)), small()
    load_checkpoint(again, file, strict=True)
    load_checkpoint(square, file, strict=True)
    assert torch.equal(again.pos_embed, wide.pos_embed)
    assert not torch.equal(square.pos_embed, wide.pos_embed)


def test_weights_without_a_position_of_the_class_token_are_refused(tmp_path):
    weights = small_timm(no_embed_class=True).state_dict()
    with pytest.raises(ValueError, match=r'pos_embed of 16 tokens.* One without a slot .*Hybrid'):
        load_checkpoint(classifier(), save(tmp_path, weights))


@pytest.mark.parametrize('bare', [False, True])
def test_a_file_of_which_nothing_matches_is_an_error(tmp_path, bare):
    model = small() if bare else classifier()
    file = save(tmp_path, {'layer1.0.conv1.weight': torch.zeros(1)})
    with pytest.raises(RuntimeError, match='None of the 1 keys of the checkpoint bel'):
        load_checkpoint(model, file)


# --- in other people's tools --------------------------------------------------------------------


def test_builds_through_another_registry():
    assert isinstance(ROOT_MODELS.build(dict(type='mmpretrain.HybridViT', **SMALL)), HybridViT)


def test_is_a_drop_in_for_the_host():
    assert HybridViT.num_extra_tokens == VisionTransformer.num_extra_tokens
    assert set(HybridViT.OUT_TYPES) == VisionTransformer.OUT_TYPES


def test_deepcopy_and_dtype_after_a_forward():
    model, images = small().eval(), torch.randn(1, 3, 32, 48)
    (expected,) = model(images)
    twin = copy.deepcopy(model).double()
    torch.testing.assert_close(twin(images.double())[0].float(), expected, atol=1e-5, rtol=1e-5)


def test_bfloat16_autocast_is_close_and_trains():
    model, images = small(), torch.randn(2, 3, 32, 32)
    (expected,) = model.eval()(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
    assert (out - expected).abs().mean() < 0.03 * expected.std()
    out.float().square().sum().backward()
    assert all(param.grad.isfinite().all() for param in model.parameters())


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_trace_of_the_model():
    model, images = small().eval(), torch.randn(2, 3, 32, 48)
    traced = torch.jit.trace(model, images)
    other = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(traced(other), model(other))


def train_one_step(rank: int, port: int) -> None:
    import os

    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    for settings in SWITCHES.values():
        model = nn.parallel.DistributedDataParallel(small(**settings).train())
        for _ in range(2):  # the second step fails where the first left a parameter unused
            outs = model(torch.randn(2, 3, 32, 32))
            sum(out.square().sum() for out in outs).backward()
    end_ranks()


@pytest.mark.slow
def test_distributed_training_has_no_unused_parameter():
    import socket

    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(train_one_step, (port,), nprocs=2)
