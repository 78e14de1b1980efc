"""Tests that every backbone must pass; the tests of one backbone are in its own file."""

import copy

import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from ranks import run_on_ranks
from small_backbones import (
    ARCH,
    CVT_ARCH,
    HYBRID_ARCH,
    SETTINGS,
    TIMM,
    WIDTHS,
    classifier,
    official_weights,
    small,
)
from torch import nn

from vit_plugins.models.backbones._token_backbone import TokenBackbone
from vit_plugins.models.layers.recomputed_gelu import RecomputedGELU

ALL = sorted(SETTINGS)
OURS = [name for name in ALL if name not in ('PosEmbedViT', 'T2TViTPerformer')]  # not the host's
PLAIN = [name for name in OURS if name != 'CvT']  # with a position embedding
STRIDES = {'CvT': 16, 'T2TViTPerformer': 16}  # pixels a token; others have 8
STEM = dict(type='HybridPatchEmbed', stem=dict(type='ResidualConvStem', channels=(4, 6, 8)))

each = pytest.mark.parametrize('name', ALL)
each_of_ours = pytest.mark.parametrize('name', OURS)
each_plain = pytest.mark.parametrize('name', PLAIN)
bare_or_not = pytest.mark.parametrize('bare', [False, True])


def built(name, bare, **changes):
    return small(name, **changes) if bare else classifier(name, **changes)


def backbone_of(model):
    return getattr(model, 'backbone', model)


def pairs(table):
    return [(name, case) for name, cases in table.items() for case in cases]


# Settings that decide which parameters there are and which outputs depend on them.
SWITCHES = {
    'ConViT': [
        {},
        dict(num_local_layers=0),
        dict(num_local_layers=3),
        dict(use_local_init=False),
        dict(gate=0.5),
        dict(freeze_gpsa=True),
        dict(gpsa_mode='psa'),
        dict(gpsa_mode='psa', freeze_gpsa=True),
        dict(use_pos_embed=False),
        dict(final_norm=False),
        dict(qkv_bias=True),
        dict(attn_drop_rate=0.2),
        dict(with_cp=True),
        dict(out_type='featmap'),
        dict(out_type='avg_featmap'),
        dict(out_type='raw'),
        dict(out_type='raw', out_indices=0),  # before the class token has joined
        dict(frozen_stages=0),
        dict(frozen_stages=3),
        dict(patch_cfg=STEM),
        dict(patch_cfg=STEM, frozen_stages=0),
    ],
    'CvT': [
        {},
        dict(style='gap'),
        dict(style='gap', out_type='raw'),
        dict(out_type='featmap'),
        dict(out_type='featmap', out_indices=(0, 1, 2)),
        dict(out_type='avg_featmap'),
        dict(out_type='raw'),
        dict(out_type='raw', out_indices=0),
        dict(drop_path_rate=0.2),
        dict(attn_drop_rate=0.2),
        dict(with_cp=True),
        dict(frozen_stages=0),
        dict(frozen_stages=2),
    ],
    'DeiT3ViT': [
        {},
        dict(layer_scale_init_value=0.0),
        dict(with_cls_token=False, out_type='avg_featmap'),
        dict(final_norm=False),
        dict(qkv_bias=False),
        dict(layer_cfgs=dict(attn_drop_rate=0.2)),
        dict(with_cp=True),
        dict(out_type='featmap', out_indices=(0, 1, 2, 3)),
        dict(out_type='featmap', out_indices=1),
        dict(out_type='avg_featmap'),
        dict(out_type='raw'),
        dict(frozen_stages=0),
        dict(frozen_stages=3),
        dict(patch_cfg=STEM),
        dict(patch_cfg=STEM, frozen_stages=0),
    ],
    'HybridViT': [
        {},
        dict(final_norm=False),
        dict(qkv_bias=False),
        dict(drop_rate=0.2, drop_path_rate=0.2),
        dict(with_cp=True),
        dict(out_type='featmap', out_indices=(0, 1, 2)),
        dict(out_type='featmap', out_indices=1),
        dict(out_type='avg_featmap'),
        dict(out_type='raw'),
        dict(frozen_stages=0),
        dict(frozen_stages=2),
    ],
    'PosEmbedViT': [
        {},
        dict(pos_embed='1d'),
        dict(pos_embed='none'),
        dict(with_cls_token=False, out_type='featmap'),
        dict(out_type='raw'),
        dict(patch_cfg=STEM),
        dict(patch_cfg=STEM, frozen_stages=2),
    ],
    'T2TViTPerformer': [
        {},
        dict(with_cls_token=False, out_type='featmap'),
        dict(out_type='avg_featmap'),
        dict(out_indices=0),
        dict(out_indices=(0, -1)),
    ],
}
# Arguments whose change is seen in an output, a gradient or a state.
CHANGES = {
    'ConViT': [
        dict(arch={**ARCH, 'num_heads': 9, 'embed_dims': 36}),
        dict(img_size=64),
        dict(patch_size=4),
        dict(num_local_layers=1),
        dict(num_local_layers=0),
        dict(locality_strength=0.1),
        dict(use_local_init=False),
        dict(gate=0.5),
        dict(freeze_gpsa=True),
        dict(gpsa_mode='psa'),
        dict(out_type='avg_featmap'),
        dict(out_indices=2),
        dict(use_pos_embed=False),
        dict(interpolate_mode='bilinear'),
        dict(drop_rate=0.3),
        dict(attn_drop_rate=0.3),
        dict(drop_path_rate=0.3),
        dict(qkv_bias=True),
        dict(norm_cfg=dict(type='LN', eps=0.1)),
        dict(final_norm=False),
        dict(frozen_stages=1),
        dict(patch_cfg=dict(bias=False)),
        dict(init_cfg=dict(type='Constant', layer='Linear', val=0.01)),
    ],
    'CvT': [
        dict(arch={**CVT_ARCH, 'depths': (1, 1, 2)}),
        dict(style='gap'),
        dict(patch_sizes=(5, 3, 3), paddings=(2, 1, 1)),
        dict(strides=(2, 2, 2)),
        dict(paddings=(3, 1, 1)),
        dict(kv_stride=1),
        dict(mlp_ratio=2),
        dict(out_type='avg_featmap'),
        dict(out_type='featmap', out_indices=1),
        dict(drop_rate=0.3),
        dict(attn_drop_rate=0.3),
        dict(drop_path_rate=0.5),
        dict(norm_cfg=dict(type='LN', eps=0.1)),
        dict(frozen_stages=1),
        dict(init_cfg=dict(type='Constant', layer='Linear', val=0.01)),
    ],
    'DeiT3ViT': [
        dict(arch={**ARCH, 'num_heads': 2}),
        dict(img_size=64),
        dict(patch_size=4),
        dict(out_type='avg_featmap'),
        dict(out_indices=2),
        dict(with_cls_token=False, out_type='avg_featmap'),
        dict(interpolate_mode='bilinear'),
        dict(layer_scale_init_value=0.1),
        dict(layer_scale_init_value=0.0),
        dict(drop_rate=0.3),
        dict(drop_path_rate=0.3),
        dict(qkv_bias=False),
        dict(norm_cfg=dict(type='LN', eps=0.1)),
        dict(final_norm=False),
        dict(frozen_stages=1),
        dict(patch_cfg=dict(bias=False)),
        dict(layer_cfgs=dict(act_cfg=dict(type='ReLU'))),
        dict(layer_cfgs=[{}, {}, {}, dict(layer_scale_init_value=0.1)]),
        dict(init_cfg=dict(type='Constant', layer='Linear', val=0.5)),
    ],
    'HybridViT': [
        dict(arch={**HYBRID_ARCH, 'num_heads': 2}),
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
}
DEPTHS = {  # of parameters, with the number of depths behind
    'ConViT': {
        'cls_token': 0,
        'pos_embed': 0,
        'patch_embed.projection.weight': 0,
        'layers.0.attn.gating_param': 1,
        'layers.3.ln2.bias': 4,
        'ln1.weight': 5,
        '': 6,
    },
    'CvT': {
        'stage0.patch_embed.proj.weight': 0,
        'stage0.blocks.0.attn.conv_proj_q.bn.bias': 1,
        'stage1.patch_embed.norm.weight': 1,
        'stage1.blocks.1.norm1.weight': 3,
        'stage2.cls_token': 3,
        'stage2.blocks.0.mlp.fc1.weight': 4,
        'stage2.blocks.1.mlp.fc2.bias': 5,
        'norm.weight': 6,
        '': 7,
    },
    'DeiT3ViT': {
        'cls_token': 0,
        'pos_embed': 0,
        'patch_embed.projection.weight': 0,
        'layers.0.attn.gamma1.weight': 1,
        'layers.3.ffn.gamma2.weight': 4,
        'ln1.weight': 5,
        '': 6,
    },
    'HybridViT': {
        'cls_token': 0,
        'pos_embed': 0,
        'patch_embed.stem.stages.1.0.unit1.conv.weight': 0,
        'layers.0.attn.qkv.weight': 1,
        'layers.2.ln2.bias': 3,
        'ln1.weight': 4,
        '': 5,
    },
    'PosEmbedViT': {
        'cls_token': 0,
        'pos_embed_cls': 0,
        'pos_embed_rows': 0,
        'pos_embed_cols': 0,
        'layers.1.ln1.weight': 2,
        'ln1.weight': 5,
        '': 6,
    },
}


def test_every_backbone_is_tried():
    names = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith('vit_plugins.models.backbones.')
    }
    assert names - {'ResNetStem', 'ResidualConvStem'} == set(ALL)  # these two stand under others
    assert {name for name in names if issubclass(MODELS.get(name), TokenBackbone)} == set(OURS)


# --- shapes -------------------------------------------------------------------------------------


NO_CLASS_TOKEN = {
    'CvT': dict(style='gap'),
    'DeiT3ViT': dict(with_cls_token=False),
    'PosEmbedViT': dict(with_cls_token=False),
    'T2TViTPerformer': dict(with_cls_token=False),
}


@pytest.mark.parametrize('name', NO_CLASS_TOKEN)
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap'])
def test_outputs_without_a_class_token(name, out_type):
    model = small(name, out_type=out_type, **NO_CLASS_TOKEN[name]).eval()
    assert model.num_extra_tokens == 0
    d, h, w = WIDTHS.get(name, 32), *(side // STRIDES.get(name, 8) for side in (16, 48))
    shapes = dict(raw=(2, h * w, d), featmap=(2, d, h, w))
    with torch.no_grad():
        assert model(torch.randn(2, 3, 16, 48))[0].shape == shapes.get(out_type, (2, d))


@each
@pytest.mark.parametrize('size', [(32, 32), (16, 64), (48, 32)])
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap', 'cls_token'])
def test_output_shapes(name, size, out_type):
    h, w = (side // STRIDES.get(name, 8) for side in size)
    d = WIDTHS.get(name, 32)
    model = small(name, out_type=out_type)
    shapes = dict(raw=(2, model.num_extra_tokens + h * w, d), featmap=(2, d, h, w))
    outs = model(torch.randn(2, 3, *size))
    assert isinstance(outs, tuple)
    assert [tuple(out.shape) for out in outs] == [shapes.get(out_type, (2, d))]


@pytest.mark.parametrize('name', [name for name in ALL if name != 'CvT'])
def test_feed_forward_networks_keep_one_wide_tensor(name):
    networks = [module for module in small(name).modules() if isinstance(module, FFN)]
    assert networks
    assert all(type(network.layers) is RecomputedGELU for network in networks)


# The host's ViT, of which PosEmbedViT is one, has a norm for the mean alone.
@pytest.mark.parametrize('name', [name for name in ALL if name != 'PosEmbedViT'])
def test_output_types_agree(name):
    model, images = small(name, out_type='raw').eval(), torch.randn(2, 3, 32, 64)
    (raw,) = model(images)
    outs = {}
    for model.out_type in ('cls_token', 'featmap', 'avg_featmap'):
        (outs[model.out_type],) = model(images)
    torch.testing.assert_close(outs['cls_token'], raw[:, 0])
    torch.testing.assert_close(outs['featmap'].flatten(2).transpose(1, 2), raw[:, 1:])
    # CvT normalises the map before its mean
    patches = model.norm(raw[:, 1:]) if name == 'CvT' else raw[:, 1:]
    torch.testing.assert_close(outs['avg_featmap'], patches.mean(1))


@each_of_ours
def test_out_indices_in_the_order_given(name):
    model = small(name, out_type='avg_featmap', out_indices=(-1, 0)).eval()
    images = torch.randn(1, 3, 32, 32)
    outs = model(images)
    last = model.out_indices[0]
    assert last > 0
    model.out_indices = (0, last)
    for out, other in zip(outs, reversed(model(images)), strict=True):
        assert torch.equal(out, other)


@each
def test_in_channels(name):
    (out,) = small(name, in_channels=1).eval()(torch.randn(1, 1, 32, 32))
    assert out.shape == (1, WIDTHS.get(name, 32))


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize(('name', 'change'), pairs(CHANGES))
def test_each_argument_changes_output_gradient_or_state(name, change):
    usual = dict(layer_scale_init_value=1.0) if name == 'DeiT3ViT' else {}  # 1e-4 hides layers
    seen = []
    for kwargs in ({}, change):
        torch.manual_seed(0)
        model = small(name, **{**usual, **kwargs})
        model.init_weights()
        model.train()
        torch.manual_seed(1)
        out = model(torch.randn(4, 3, 32, 48))[-1]
        out.square().sum().backward()
        trained = {n: tuple(p.shape) for n, p in model.named_parameters() if p.grad is not None}
        seen.append((out, trained))
    (out, trained), (other, other_trained) = seen
    atol = 1e-6 if name == 'HybridViT' else 1e-5
    same_output = out.shape == other.shape and torch.allclose(out, other, atol=atol)
    assert not same_output or trained != other_trained


@pytest.mark.parametrize(('name', 'settings'), pairs(SWITCHES))
def test_every_trained_parameter_gets_a_gradient(name, settings):
    model = small(name, **settings).train()
    sum(out.square().sum() for out in model(torch.randn(2, 3, 32, 32))).backward()
    for key, param in model.named_parameters():
        assert (param.grad is not None) == param.requires_grad, key


@each_plain
def test_gradients_equal_timm(name):
    timms, ours = TIMM[name](), classifier(name)
    ours.load_state_dict(timms.state_dict())
    images, target = torch.randn(2, 3, 32, 32), torch.randn(2, 10)
    for model in (ours, timms):
        (model(images) * target).sum().backward()
    expected = ours.backbone.names.convert({n: p.grad for n, p in timms.named_parameters()})
    trained = {n: p.grad for n, p in ours.named_parameters() if p.requires_grad}
    unread = {n for n in expected if n.endswith('pos_proj.bias')}  # softmax ignores them
    assert trained.keys() == expected.keys() - unread
    for key, grad in trained.items():
        error = (grad - expected[key]).norm() / expected[key].norm()
        assert error < (1e-4 if name == 'ConViT' else 1e-5), key


def train_two_steps(rank: int) -> None:
    for name, settings in pairs(SWITCHES):
        model = nn.parallel.DistributedDataParallel(small(name, **settings).train())
        for _ in range(2):  # the second step fails where the first left a parameter unused
            outs = model(torch.randn(2, 3, 32, 32))
            sum(out.square().sum() for out in outs).backward()


@pytest.mark.slow
def test_distributed_training_has_no_unused_parameter(tmp_path):
    run_on_ranks(train_two_steps, tmp_path)


@each_of_ours
@pytest.mark.parametrize('stages', [-1, 0, 2, 'all'])
def test_frozen_stages(name, stages):
    depth = len(small(name).stages)
    stages = depth if stages == 'all' else stages
    model = small(name, frozen_stages=stages, drop_rate=0.5).train()
    images = torch.randn(2, 3, 32, 32)
    ids = {id(p) for p in model.parameters() if p.requires_grad}

    def trained(part):
        params = [part] if isinstance(part, nn.Parameter) else part.parameters()
        return any(id(param) in ids for param in params)

    for part in model.stem:
        assert trained(part) == (stages < 0 and not isinstance(part, nn.Dropout))
        assert isinstance(part, nn.Parameter) or part.training == (stages < 0)
    for i, stage in enumerate(model.stages):
        assert stage.training == trained(stage) == (i >= stages)
    assert trained(model.final_norm) == (stages < depth)
    if stages == depth:  # no dropout is left: evaluation mode survived model.train()
        assert not ids
        torch.testing.assert_close(model(images), model(images))


WITH_CP = {
    'ConViT': ['layers.1.attn'],
    'CvT': ['stage1.blocks.0.mlp.act'],
    'DeiT3ViT': ['layers.1.attn'],
    'HybridViT': ['layers.1.attn', 'patch_embed.stem.stages.1.0'],
}


@each_of_ours
def test_with_cp_recomputes_and_changes_no_gradient_and_no_statistic(name):
    images = torch.randn(2, 3, 32, 32)
    grads, calls, buffers = [], [], []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = small(name, with_cp=with_cp, drop_rate=0.2, drop_path_rate=0.2).train()
        count = []
        for module in WITH_CP[name]:
            model.get_submodule(module).register_forward_hook(lambda *_, n=count: n.append(1))
        torch.manual_seed(1)
        model(images)[0].square().sum().backward()
        calls.append(len(count))
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
        buffers.append(dict(model.named_buffers()))
    assert calls == [len(WITH_CP[name]), 2 * len(WITH_CP[name])]
    torch.testing.assert_close(*grads)
    torch.testing.assert_close(*buffers)


DROP_PATHS = {
    'ConViT': [0.1 * i / 3 for i in range(4)],
    'DeiT3ViT': [0.1] * 4,
    'HybridViT': [0.1 * i / 2 for i in range(3)],
}


@each_plain
def test_drop_path_rate_of_each_layer(name):
    model = small(name, drop_path_rate=0.1)
    rates = [
        (layer.attn.out_drop.drop_prob, layer.ffn.dropout_layer.drop_prob)
        for layer in model.layers
    ]
    assert rates == [(pytest.approx(rate),) * 2 for rate in DROP_PATHS[name]]


@each_plain
def test_an_empty_init_cfg_is_no_missing_one(name):
    """It keeps the values of the layers themselves."""
    assert small(name, init_cfg=[]).init_cfg == []


@each_plain
def test_dropout_rates_are_where_they_belong(name):
    attention = dict(attn_drop_rate=0.3)
    attention = attention if name == 'ConViT' else dict(layer_cfgs=attention)
    model = small(name, drop_rate=0.2, **attention)
    assert model.drop_after_pos.p == 0.2
    for layer in model.layers:
        assert (layer.attn.attn_drop, layer.attn.proj_drop.p) == (0.3, 0.2)
        assert [m.p for m in layer.ffn.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.2]


@each_of_ours
def test_drop_path_follows_the_seed(name):
    model, images = small(name, drop_path_rate=0.9).train(), torch.randn(8, 3, 32, 32)
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(model(images)[0])
    assert torch.equal(outs[0], outs[1])
    assert not torch.allclose(outs[0], outs[2])


@pytest.mark.parametrize('name', DEPTHS)
def test_layer_depth(name):
    model, depths = classifier(name), dict(DEPTHS[name])
    number = depths.pop('')
    assert depths.keys() <= dict(model.backbone.named_parameters()).keys()
    for key, depth in depths.items():
        assert model.get_layer_depth(f'backbone.{key}') == (depth, number)
        assert model.backbone.get_layer_depth(key) == (depth, number)
    assert model.get_layer_depth('head.any') == (number - 1, number)


@pytest.mark.parametrize('name', DEPTHS)
def test_layer_wise_learning_rates_of_the_host(name):
    model = classifier(name)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        wrapper = build_optim_wrapper(
            model,
            ConfigDict(
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
                constructor='LearningRateDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.5),
            ),
        )
    names = {id(param): key for key, param in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    rates = {names[id(p)]: group['lr'] for group in groups for p in group['params']}
    assert rates.keys() == {key for key, p in model.named_parameters() if p.requires_grad}
    last = DEPTHS[name][''] - 1
    assert rates == {key: 0.5 ** (last - model.get_layer_depth(key)[0]) for key in rates}


@each
def test_bfloat16_autocast_is_close_and_trains(name):
    model, images = small(name), torch.randn(2, 3, 32, 32)
    if name in OURS:
        model.load_state_dict(official_weights(name), strict=False)
    (expected,) = model.eval()(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
        (trained,) = model.train()(images)
    # the convolutions of the ResNet add their own
    share = 0.03 if name == 'HybridViT' else 0.02
    assert (out - expected).abs().mean() < share * expected.std()
    trained.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@each_of_ours
@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='giant'), "arch 'giant' is none of "),
        (dict(arch=dict(embed_dims=(32,))), 'The arch dict lacks '),
        (dict(drop_path_rate=1.0), 'drop_path_rate must be less than 1, got 1.0'),
        (dict(out_type='tokens'), "out_type 'tokens' is none of cls_token, featmap"),
        (dict(out_indices=9), r'out_indices \[9\] must name (layers|stages) between -\d and \d'),
        (dict(out_indices=-9), r'out_indices \[-9\]'),
        (dict(out_indices=()), 'out_indices'),
        (dict(frozen_stages=9), r'frozen_stages \(9\) must be between -1 and \d'),
        (dict(frozen_stages=-2), r'frozen_stages \(-2\) must be between -1 and \d'),
    ],
)
def test_refuses(name, settings, message):
    with pytest.raises(ValueError, match=message):
        small(name, **settings)


@each_plain
@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch=dict(embed_dims=32)), 'lacks feedforward_channels, num_heads, num_layers'),
        (dict(arch={**ARCH, 'num_heads': 5}), r'embed_dims \(32\) must be a multiple of num_head'),
        (dict(arch={**ARCH, 'mlp_ratio': 4}), 'has mlp_ratio, which nothing reads'),
        (dict(interpolate_mode='nearest'), "'nearest' is none of bicubic, bilinear"),
    ],
)
def test_plain_vits_refuse(name, settings, message):
    with pytest.raises(ValueError, match=message):
        small(name, **settings)


# --- loading ------------------------------------------------------------------------------------

# One weight of each kind: its name in the official files, and here.
ARRIVALS = {
    'ConViT': {
        'pos_embed': 'pos_embed',
        'blocks.0.attn.qk.weight': 'layers.0.attn.qk.weight',
        'blocks.1.attn.gating_param': 'layers.1.attn.gating_param',
        'blocks.3.attn.qkv.weight': 'layers.3.attn.qkv.weight',
        'blocks.2.mlp.fc2.bias': 'layers.2.ffn.layers.1.bias',
        'norm.weight': 'ln1.weight',
    },
    'DeiT3ViT': {
        'cls_token': 'cls_token',
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'blocks.0.norm2.weight': 'layers.0.ln2.weight',
        'blocks.1.ls1.gamma': 'layers.1.attn.gamma1.weight',
        'blocks.3.ls2.gamma': 'layers.3.ffn.gamma2.weight',
        'blocks.2.attn.qkv.bias': 'layers.2.attn.qkv.bias',
        'blocks.2.mlp.fc2.bias': 'layers.2.ffn.layers.1.bias',
        'norm.weight': 'ln1.weight',
    },
    'HybridViT': {
        'cls_token': 'cls_token',
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'patch_embed.backbone.stem.norm.bias': 'patch_embed.stem.root.norm.bias',
        'patch_embed.backbone.stages.1.blocks.1.conv2.weight': (
            'patch_embed.stem.stages.1.1.unit2.conv.weight'
        ),
        'patch_embed.backbone.stages.1.blocks.0.downsample.norm.weight': (
            'patch_embed.stem.stages.1.0.shortcut.norm.weight'
        ),
        'blocks.2.attn.qkv.bias': 'layers.2.attn.qkv.bias',
        'norm.weight': 'ln1.weight',
    },
}
HEADS = {'CvT': 'fc.weight'}  # where the classifier's weight is; others have layers.head.weight


def holds(name, backbone, weights):
    own = backbone.state_dict()
    names = ARRIVALS.get(name) or {key: key for key in own}  # CvT has the official names
    return all(torch.equal(own[ours], weights[theirs]) for theirs, ours in names.items())


def save(tmp_path, content, suffix='.pth'):
    file = tmp_path / f'weights{suffix}'
    if suffix == '.safetensors':
        from safetensors.torch import save_file

        save_file(content, file)
    else:
        torch.save(content, file)
    return str(file)


FILES = {
    'raw': (lambda weights: weights, '.pth'),
    'training': (lambda weights: {'model': weights, 'optimizer': {}, 'epoch': 3}, '.pth'),
    'parallel': (lambda w: {'model': {f'module.{k}': v for k, v in w.items()}}, '.pth'),
    'state_dict': (lambda weights: {'state_dict': weights}, '.pth'),
    'safetensors': (lambda weights: weights, '.safetensors'),
}


@each_of_ours
@pytest.mark.parametrize('kind', FILES)
@bare_or_not
def test_official_files_load_strictly(tmp_path, name, kind, bare):
    wrap, suffix = FILES[kind]
    weights, model = official_weights(name), built(name, bare)
    load_checkpoint(model, save(tmp_path, wrap(weights), suffix), strict=True)
    assert holds(name, backbone_of(model), weights)
    if not bare:
        head = model.head.get_parameter(HEADS.get(name, 'layers.head.weight'))
        assert torch.equal(head, weights['head.weight'])


@each_of_ours
@pytest.mark.parametrize('official', [True, False])
def test_files_of_a_classifier_initialise_a_backbone(tmp_path, name, official):
    weights = official_weights(name)
    content = weights
    if not official:
        model = classifier(name)
        model.load_state_dict(weights)
        content = {'state_dict': model.state_dict(), 'meta': {}}
    file = save(tmp_path, content)
    model = small(name, init_cfg=dict(type='Pretrained', checkpoint=file))
    model.init_weights()
    assert holds(name, model, weights)


@each_of_ours
def test_load_from_of_the_runner(tmp_path, name):
    weights = official_weights(name)
    runner = Runner(
        model=classifier(name),
        work_dir=str(tmp_path),
        load_from=save(tmp_path, weights),
        experiment_name=f'{name}_load_from',
        default_scope='mmpretrain',
    )
    runner.load_or_resume()
    assert holds(name, runner.model.backbone, weights)


@pytest.mark.parametrize(
    ('name', 'settings', 'bare'),
    [(*pair, True) for pair in pairs(SWITCHES)] + [(name, {}, False) for name in ALL],
)
def test_own_files_load_strictly(tmp_path, name, settings, bare):
    model, twin = (built(name, bare, **settings) for _ in range(2))
    model.init_weights()
    load_checkpoint(twin, save(tmp_path, {'state_dict': model.state_dict()}), strict=True)
    assert all(torch.equal(twin.state_dict()[k], v) for k, v in model.state_dict().items())
    images = torch.randn(1, 3, 32, 32)
    one, other = (backbone_of(each).eval() for each in (model, twin))
    assert torch.equal(one(images)[0], other(images)[0])


@each_of_ours
@bare_or_not
def test_unknown_and_missing_keys_are_named(tmp_path, name, bare):
    weights = official_weights(name)
    theirs, ours = ('stage2.cls_token',) * 2 if name == 'CvT' else ('norm.bias', 'ln1.bias')
    surprise = 'stage0.surprise' if name == 'CvT' else 'blocks.0.surprise'
    weights[surprise] = weights.pop(theirs)
    missing = f'{"" if bare else "backbone."}{ours}'
    with pytest.raises(RuntimeError, match=rf'(?s){surprise}.*{missing}'):
        load_checkpoint(built(name, bare), save(tmp_path, weights), strict=True)


EXAMPLES = {
    'ConViT': r'blocks\.0\.attn\.qk\.weight',
    'CvT': r'stage0\.blocks\.0\.attn\.conv_proj_q\.conv\.weight',
    'DeiT3ViT': r'blocks\.0\.gamma_1',
    'HybridViT': r'blocks\.0\.attn\.qkv\.weight',
}


@each_of_ours
@bare_or_not
@pytest.mark.parametrize('keys', [('layer1.0.conv1.weight', 'fc.weight'), ('backbone.stem',)])
def test_a_file_of_which_nothing_matches_is_an_error(tmp_path, name, bare, keys):
    file = save(tmp_path, dict.fromkeys(keys, torch.zeros(1)))
    message = rf'None of the {len(keys)} keys of the checkpoint .*{name}.*{EXAMPLES[name]}'
    with pytest.raises(RuntimeError, match=message):
        load_checkpoint(built(name, bare), file)


# Official weights whose positions are those of another kind of model.
OTHER_POSITIONS = {
    'ConViT': (lambda: {**official_weights('ConViT'), 'pos_embed': torch.zeros(1, 17, 32)}, 17),
    'DeiT3ViT': (lambda: official_weights('DeiT3ViT', no_embed_class=False), 17),
    'HybridViT': (lambda: official_weights('HybridViT', no_embed_class=True), 16),
}


@each_plain
def test_positions_of_another_kind_of_model_are_refused(tmp_path, name):
    weights, number = OTHER_POSITIONS[name]
    slot = 'without' if name == 'HybridViT' else 'with'
    message = f'pos_embed of {number} tokens, which is no square.*One {slot} a slot.*fit a {name}'
    with pytest.raises(ValueError, match=message):
        load_checkpoint(small(name), save(tmp_path, weights()))


@each_plain
@bare_or_not
@pytest.mark.parametrize('size', [(64, 48), (16, 64)])  # (16, 64): as many tokens as 32 x 32
def test_position_embedding_is_resized_at_load_as_in_forward(name, size, bare):
    weights, images = official_weights(name), torch.randn(1, 3, *size)
    usual, other = built(name, bare).eval(), built(name, bare, img_size=size).eval()
    for model in (usual, other):
        model.load_state_dict(weights, strict=not bare)
    extra = small(name).names.extra_tokens
    square = weights['pos_embed'][:, extra:].transpose(1, 2).unflatten(2, (4, 4))
    expected = nn.functional.interpolate(square, (size[0] // 8, size[1] // 8), mode='bicubic')
    embed = backbone_of(other).pos_embed
    torch.testing.assert_close(embed[:, extra:], expected.flatten(2).transpose(1, 2))
    assert torch.equal(embed[:, :extra], weights['pos_embed'][:, :extra])
    torch.testing.assert_close(usual(images), other(images))


@each_plain
@pytest.mark.parametrize('state_dict', [lambda model: model.state_dict(), get_state_dict])
def test_own_checkpoints_know_their_grid(tmp_path, name, state_dict):
    wide = small(name, img_size=(16, 64))
    file = save(tmp_path, state_dict(wide))
    again, square = small(name, img_size=(16, 64)), small(name)
    load_checkpoint(again, file, strict=True)
    load_checkpoint(square, file, strict=True)
    assert torch.equal(again.pos_embed, wide.pos_embed)
    assert not torch.equal(square.pos_embed, wide.pos_embed)
    images = torch.randn(1, 3, 16, 64)
    torch.testing.assert_close(again.eval()(images), wide.eval()(images))
    plain = small(name, img_size=(16, 64))  # without metadata equal numbers mean equal grids
    plain.load_state_dict(dict(wide.state_dict()))
    assert torch.equal(plain.pos_embed, wide.pos_embed)


# --- in other people's tools --------------------------------------------------------------------
# Export and trace with a free batch: test_free_batch_export.py. train() and eval(), building from
# a config: test_registry.py.


@each
def test_builds_through_another_registry(name):
    built = ROOT_MODELS.build(dict(type=f'mmpretrain.{name}', **SETTINGS[name]))
    assert type(built).__name__ == name


@each
def test_is_a_drop_in_for_the_host(name):
    assert set(MODELS.get(name).OUT_TYPES) == VisionTransformer.OUT_TYPES
    assert small(name).num_extra_tokens == VisionTransformer.num_extra_tokens


@each
def test_deepcopy_and_dtype_after_a_forward(name):
    model, images = small(name).eval(), torch.randn(1, 3, 32, 48)
    (expected,) = model(images)
    twin = copy.deepcopy(model).double()
    torch.testing.assert_close(twin(images.double())[0].float(), expected)
    twin.load_state_dict(model.state_dict())
    for key, param in model.named_parameters():
        assert twin.get_parameter(key) is not param
