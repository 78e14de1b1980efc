import copy

import pytest
import timm
import torch
import torch.multiprocessing as mp
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from mmengine.utils import digit_version
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn

from vit_plugins.engine.launch import end_ranks
from vit_plugins.models.backbones.deit3_vit import DeiT3ViT
from vit_plugins.weights.names.deit3 import DEIT3_NAMES

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=128)
SMALL = dict(arch=ARCH, img_size=32, patch_size=8)  # a grid of 4 x 4
STEM = dict(type='HybridPatchEmbed', stem=dict(type='ResidualConvStem', channels=(4, 6, 8)))
SWITCHES = {
    'default': {},
    'no LayerScale': dict(layer_scale_init_value=0.0),
    'no class token': dict(with_cls_token=False, out_type='avg_featmap'),
    'no final norm': dict(final_norm=False),
    'no qkv bias': dict(qkv_bias=False),
    'attention dropout': dict(layer_cfgs=dict(attn_drop_rate=0.2)),
    'checkpointing': dict(with_cp=True),
    'feature maps': dict(out_type='featmap', out_indices=(0, 1, 2, 3)),
    'early feature map': dict(out_type='featmap', out_indices=1),
    'average': dict(out_type='avg_featmap'),
    'raw': dict(out_type='raw'),
    'stem frozen': dict(frozen_stages=0),
    'stages frozen': dict(frozen_stages=3),
    'residual stem': dict(patch_cfg=STEM),
    'residual stem frozen': dict(patch_cfg=STEM, frozen_stages=0),
}
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


def small(**kwargs) -> DeiT3ViT:
    return DeiT3ViT(**{**SMALL, **kwargs})


def classifier(num_classes: int = 10, dims: int = 32, **backbone) -> nn.Module:
    head = dict(type='VisionTransformerClsHead', num_classes=num_classes, in_channels=dims)
    backbone = dict(type='DeiT3ViT', **{**SMALL, **backbone})
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


def meta_classifier(arch: str, dims: int, **backbone) -> nn.Module:
    with torch.device('meta'):
        return classifier(1000, dims, arch=arch, patch_size=None, img_size=224, **backbone)


def small_timm(**kwargs) -> TimmViT:
    """Build timm's ViT as its deit3 models are, with gammas and norms that are felt."""
    settings = dict(img_size=32, patch_size=8, embed_dim=32, depth=4, num_heads=4, num_classes=10)
    model = TimmViT(**settings | dict(no_embed_class=True, init_values=1e-6) | kwargs).eval()
    with torch.no_grad():
        for name, param in model.named_parameters():
            if 'gamma' in name:
                param.normal_(std=0.5)
            elif param.ndim == 1:
                param.add_(0.3 * torch.randn_like(param))
    return model


def official_weights(names: str = 'timm', **kwargs) -> dict:
    """Return weights under timm's names, or those of facebookresearch/deit."""
    weights = small_timm(**kwargs).state_dict()
    if names == 'timm':
        return weights
    renamed = {'ls1.gamma': 'gamma_1', 'ls2.gamma': 'gamma_2'}
    return {k.replace(k[-9:], renamed.get(k[-9:], k[-9:])): v for k, v in weights.items()}


def holds(model: DeiT3ViT, weights: dict) -> bool:
    """Tell whether one weight of each kind has arrived."""
    names = {
        'cls_token': 'cls_token',
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'blocks.0.norm2.weight': 'layers.0.ln2.weight',
        'blocks.1.ls1.gamma': 'layers.1.attn.gamma1.weight',
        'blocks.3.ls2.gamma': 'layers.3.ffn.gamma2.weight',
        'blocks.2.attn.qkv.bias': 'layers.2.attn.qkv.bias',
        'blocks.2.mlp.fc2.bias': 'layers.2.ffn.layers.1.bias',
        'norm.weight': 'ln1.weight',
    }
    own = model.state_dict()
    return all(torch.equal(own[ours], weights[theirs]) for theirs, ours in names.items())


# --- size and shape -----------------------------------------------------------------------------


@pytest.mark.parametrize(('arch', 'dims', 'params', 'timms'), ARCHS)
def test_parameters_and_official_keys_of_each_architecture(arch, dims, params, timms):
    model = meta_classifier(arch, dims)
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
def test_tokens_of_the_huge_model_are_counted_as_officially(size, tokens):
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


@pytest.mark.parametrize('size', [(32, 32), (16, 64), (48, 40)])
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap', 'cls_token'])
@pytest.mark.parametrize('extra', [0, 1])
def test_output_shapes(size, out_type, extra):
    if out_type == 'cls_token' and not extra:
        return
    h, w = size[0] // 8, size[1] // 8
    shapes = dict(raw=(2, extra + h * w, 32), featmap=(2, 32, h, w))
    model = small(out_type=out_type, out_indices=(0, -2, 3), with_cls_token=bool(extra))
    outs = model(torch.randn(2, 3, *size))
    assert isinstance(outs, tuple)
    assert [tuple(out.shape) for out in outs] == [shapes.get(out_type, (2, 32))] * 3
    assert model.num_extra_tokens == extra


def test_output_types_agree():
    images, model = torch.randn(2, 3, 32, 64), small(out_type='raw').eval()
    (raw,) = model(images)
    outs = {}
    for model.out_type in ('cls_token', 'featmap', 'avg_featmap'):
        (outs[model.out_type],) = model(images)
    torch.testing.assert_close(outs['cls_token'], raw[:, 0])
    torch.testing.assert_close(outs['featmap'].flatten(2).transpose(1, 2), raw[:, 1:])
    torch.testing.assert_close(outs['avg_featmap'], raw[:, 1:].mean(1))


def test_out_indices_in_the_order_given():
    model = small(out_type='avg_featmap', out_indices=(3, 1)).eval()
    images = torch.randn(1, 3, 32, 32)
    outs = model(images)
    model.out_indices = (1, 3)
    for out, other in zip(outs, reversed(model(images)), strict=True):
        assert torch.equal(out, other)


# --- against timm and the host ------------------------------------------------------------------


@pytest.mark.parametrize(('dtype', 'tol'), [(torch.float, 1e-5), (torch.double, 1e-12)])
@pytest.mark.parametrize('names', ['timm', 'official'])
def test_equals_timm(dtype, tol, names):
    torch.manual_seed(0)
    weights = official_weights(names)
    torch.manual_seed(0)
    timms, ours = small_timm(), classifier().eval()
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 32, 32, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


def test_gradients_equal_timm():
    timms, ours = small_timm(), classifier()
    ours.load_state_dict(timms.state_dict())
    images, target = torch.randn(2, 3, 32, 32), torch.randn(2, 10)
    for model in (ours, timms):
        (model(images) * target).sum().backward()
    expected = DEIT3_NAMES.convert({n: param.grad for n, param in timms.named_parameters()})
    assert len(expected) == len(list(ours.parameters()))
    for name, param in ours.named_parameters():
        error = (param.grad - expected[name]).norm() / expected[name].norm()
        assert error < 1e-5, name


def test_feature_maps_equal_timm():
    timms, images = small_timm(), torch.randn(2, 3, 32, 32)
    ours = small(out_type='featmap', out_indices=(0, 2, 3)).eval()
    load = ours.load_state_dict(timms.state_dict(), strict=False)
    assert (load.missing_keys, load.unexpected_keys) == ([], [])
    expected = timms.forward_intermediates(images, [0, 2, 3], intermediates_only=True)
    expected[-1] = timms.forward_features(images)[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(list(ours(images)), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(('arch', 'dims', 'size'), [('small', 384, 224), ('base', 768, 96)])
def test_equals_timm_at_full_size(arch, dims, size):
    timms = timm.create_model(f'deit3_{arch}_patch16_224', num_classes=10, img_size=size).eval()
    with torch.no_grad():
        for param in timms.parameters():
            if param.ndim == 1:
                param.add_(0.2 * torch.randn_like(param))
    ours = classifier(10, dims, arch=arch, patch_size=None, img_size=size).eval()
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
    """OpenMMLab's released files have these names; the host's layer reads ln1 twice."""
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


@pytest.mark.parametrize(
    'change',
    [
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
    ids=lambda change: '-'.join(change),
)
def test_each_argument_changes_output_gradient_or_state(change):
    seen = []
    for kwargs in ({}, change):
        torch.manual_seed(0)
        model = small(**{'layer_scale_init_value': 1.0, **kwargs})  # 1e-4 hides the layers
        model.init_weights()
        model.train()
        torch.manual_seed(1)
        out = model(torch.randn(4, 3, 32, 48))[-1]
        out.square().sum().backward()
        trained = {n: tuple(p.shape) for n, p in model.named_parameters() if p.grad is not None}
        seen.append((out, trained))
    (out, trained), (other, other_trained) = seen
    same_output = out.shape == other.shape and torch.allclose(out, other, atol=1e-5)
    assert not same_output or trained != other_trained


def test_in_channels():
    assert small(in_channels=1)(torch.randn(1, 1, 32, 32))[0].shape == (1, 32)


def test_attention_is_the_fused_one(monkeypatch):
    """An N x N matrix per head is not kept: what makes L and H fit."""
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


def test_with_cp_recomputes_and_changes_no_gradient():
    images = torch.randn(2, 3, 32, 32)
    grads, calls = [], []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = small(with_cp=with_cp, drop_rate=0.2, drop_path_rate=0.2).train()
        count = []
        model.layers[1].attn.register_forward_hook(lambda *_, count=count: count.append(1))
        torch.manual_seed(1)
        model(images)[0].square().sum().backward()
        calls.append(len(count))
        grads.append([p.grad for p in model.parameters()])
    assert calls == [1, 2]
    torch.testing.assert_close(*grads)


def test_drop_path_is_the_same_in_every_layer():
    with torch.device('meta'):
        model = DeiT3ViT(arch='large', drop_path_rate=0.45)
    rates = [
        (layer.attn.out_drop.drop_prob, layer.ffn.dropout_layer.drop_prob)
        for layer in model.layers
    ]
    assert rates == [(0.45, 0.45)] * 24


@pytest.mark.parametrize('settings', SWITCHES.values(), ids=SWITCHES)
def test_every_trained_parameter_gets_a_gradient(settings):
    model = small(**settings).train()
    sum(out.square().sum() for out in model(torch.randn(2, 3, 32, 32))).backward()
    for name, param in model.named_parameters():
        assert (param.grad is not None) == param.requires_grad, name


@pytest.mark.parametrize('stages', [-1, 0, 2, 4])
def test_frozen_stages(stages):
    model = small(frozen_stages=stages, drop_rate=0.5).train()
    images = torch.randn(1, 3, 32, 32)
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    stem = {'cls_token', 'pos_embed', 'patch_embed.projection.weight'}
    assert stem & trained == (stem if stages < 0 else set())
    for i, layer in enumerate(model.layers):
        frozen = i < stages
        assert layer.training != frozen
        assert any(name.startswith(f'layers.{i}.') for name in trained) != frozen
    assert ('ln1.weight' in trained) == (stages < 4)
    if stages == 4:  # no dropout is left: evaluation mode survived model.train()
        torch.testing.assert_close(model(images), model(images))


@pytest.mark.parametrize(
    ('name', 'depth'),
    [
        ('backbone.cls_token', 0),
        ('backbone.pos_embed', 0),
        ('backbone.patch_embed.projection.weight', 0),
        ('backbone.layers.0.attn.gamma1.weight', 1),
        ('backbone.layers.3.ffn.gamma2.weight', 4),
        ('backbone.ln1.weight', 5),
        ('head.layers.head.weight', 5),
    ],
)
def test_layer_depth(name, depth):
    assert classifier().get_layer_depth(name) == (depth, 6)
    if name.startswith('backbone.'):
        assert small().get_layer_depth(name.removeprefix('backbone.')) == (depth, 6)


def test_layer_wise_learning_rates_of_the_host():
    model = classifier()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        wrapper = build_optim_wrapper(
            model,
            ConfigDict(
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
                constructor='LearningRateDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.5),
            ),
        )
    names = {id(param): name for name, param in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    rates = {names[id(p)]: group['lr'] for group in groups for p in group['params']}
    assert rates.keys() == dict(model.named_parameters()).keys()
    assert rates == {name: 0.5 ** (5 - model.get_layer_depth(name)[0]) for name in rates}


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='giant'), "arch 'giant' is none of t, tiny, s, small"),
        (dict(arch=dict(embed_dims=32)), 'lacks feedforward_channels, num_heads, num_layers'),
        (
            dict(arch={**ARCH, 'num_heads': 5}),
            r'embed_dims \(32\) must be a multiple of num_heads',
        ),
        (dict(img_size=7), r'img_size \(7\) is smaller than a patch \(8\)'),
        (dict(out_type='tokens'), "out_type 'tokens' is none of cls_token, featmap"),
        (dict(out_indices=4), r'out_indices \[4\] must name layers between -4 and 3'),
        (dict(out_indices=()), 'out_indices'),
        (dict(with_cls_token=False), "with_cls_token=False: there is none .*'avg_featmap'"),
        (dict(interpolate_mode='nearest'), "'nearest' is none of bicubic, bilinear"),
        (dict(layer_scale_init_value=-1), r'layer_scale_init_value \(-1\) must be >= 0'),
        (dict(frozen_stages=5), r'frozen_stages \(5\) must be between -1 and 4'),
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
    model = classifier(arch={**ARCH, 'embed_dims': 64}, dims=64)
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


def save(tmp_path, content, suffix='.pth') -> str:
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


@pytest.mark.parametrize('kind', FILES)
@pytest.mark.parametrize('names', ['timm', 'official'])
@pytest.mark.parametrize('bare', [False, True])
def test_official_files_load_strictly(tmp_path, kind, names, bare):
    wrap, suffix = FILES[kind]
    torch.manual_seed(0)
    weights = official_weights(names)
    torch.manual_seed(0)
    expected = official_weights()
    model = small() if bare else classifier()
    load_checkpoint(model, save(tmp_path, wrap(weights), suffix), strict=True)
    assert holds(model if bare else model.backbone, expected)
    if not bare:
        assert torch.equal(model.head.layers.head.weight, expected['head.weight'])


def test_load_from_of_the_runner(tmp_path):
    from mmengine.runner import Runner

    weights = official_weights()
    runner = Runner(
        model=classifier(),
        work_dir=str(tmp_path),
        load_from=save(tmp_path, weights),
        experiment_name='deit3_load_from',
        default_scope='mmpretrain',
    )
    runner.load_or_resume()
    assert holds(runner.model.backbone, weights)


@pytest.mark.parametrize('head', ['VisionTransformerClsHead', 'VisionTransformerBCEHead'])
def test_official_files_load_with_the_drloc_head_and_its_kin(tmp_path, head):
    timms, plain = small_timm(), dict(type=head, num_classes=10, in_channels=32)
    drloc = dict(type='DRLocHead', in_channels=32, num_pairs=4, head=plain)
    backbone = dict(type='DeiT3ViT', **SMALL, out_type='raw')
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=drloc)).eval()
    load_checkpoint(model, save(tmp_path, timms.state_dict()), strict=True)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model(images), timms(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize('bare', [False, True])
def test_unknown_and_missing_keys_are_named(tmp_path, bare):
    weights = official_weights()
    weights['blocks.0.surprise'] = weights.pop('blocks.0.ls1.gamma')
    model = small() if bare else classifier()
    missing = ('' if bare else 'backbone.') + r'layers\.0\.attn\.gamma1\.weight'
    with pytest.raises(RuntimeError, match=rf'(?s)blocks\.0\.surprise.*{missing}'):
        load_checkpoint(model, save(tmp_path, weights), strict=True)


@pytest.mark.parametrize('bare', [False, True])
def test_a_file_of_which_nothing_matches_is_an_error(tmp_path, bare):
    file = save(tmp_path, {'layer1.0.conv1.weight': torch.zeros(1), 'fc.weight': torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r'None of the 2 keys .*DeiT3ViT.*blocks\.0\.gamma_1'):
        load_checkpoint(small() if bare else classifier(), file)


def test_weights_of_a_model_with_class_token_position_are_refused(tmp_path):
    weights = official_weights(no_embed_class=False)
    with pytest.raises(ValueError, match=r'pos_embed of 17 tokens, .* does not fit a DeiT3ViT'):
        load_checkpoint(small(), save(tmp_path, weights))


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('size', [(64, 48), (16, 64)])  # (16, 64): as many tokens as 32 x 32
def test_position_embedding_is_resized_at_load(size, bare):
    weights = official_weights()
    model = (small if bare else classifier)(img_size=size)
    load = model.load_state_dict(weights)
    assert not load.missing_keys
    embed = (model if bare else model.backbone).pos_embed
    square = weights['pos_embed'].transpose(1, 2).unflatten(2, (4, 4))
    expected = nn.functional.interpolate(square, (size[0] // 8, size[1] // 8), mode='bicubic')
    torch.testing.assert_close(embed, expected.flatten(2).transpose(1, 2))


def test_position_embedding_is_resized_in_forward_as_at_load():
    images, weights = torch.randn(1, 3, 16, 72), official_weights()
    square, wide = small().eval(), small(img_size=(16, 72)).eval()
    for model in (square, wide):
        model.load_state_dict(weights)
    torch.testing.assert_close(square(images), wide(images))


@pytest.mark.parametrize('state_dict', [lambda model: model.state_dict(), get_state_dict])
def test_own_checkpoints_know_their_grid(tmp_path, state_dict):
    wide = small(img_size=(16, 64))
    file = save(tmp_path, state_dict(wide))
    again, square = small(img_size=(16, 64)), small()
    load_checkpoint(again, file, strict=True)
    load_checkpoint(square, file, strict=True)
    assert torch.equal(again.pos_embed, wide.pos_embed)
    assert not torch.equal(square.pos_embed, wide.pos_embed)
    images = torch.randn(1, 3, 16, 64)
    torch.testing.assert_close(again.eval()(images), wide.eval()(images))


# --- in other people's tools --------------------------------------------------------------------


def test_builds_through_another_registry():
    assert isinstance(ROOT_MODELS.build(dict(type='mmpretrain.DeiT3ViT', **SMALL)), DeiT3ViT)


def test_is_a_drop_in_for_the_host():
    assert DeiT3ViT.num_extra_tokens == VisionTransformer.num_extra_tokens
    assert set(DeiT3ViT.OUT_TYPES) == VisionTransformer.OUT_TYPES


def test_deepcopy_and_dtype_after_a_forward():
    model, images = small().eval(), torch.randn(1, 3, 32, 48)
    (expected,) = model(images)
    twin = copy.deepcopy(model).double()
    torch.testing.assert_close(twin(images.double())[0].float(), expected)
    twin.load_state_dict(model.state_dict())
    assert twin.layers[0].attn.qkv.weight is not model.layers[0].attn.qkv.weight


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.5'),
    reason='old torch cannot export the host FFN (nor any host transformer)',
)
def test_export_of_the_model():
    model, images = small().eval(), torch.randn(2, 3, 32, 48)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images))


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_trace_of_the_model():
    model, images = small().eval(), torch.randn(2, 3, 32, 48)
    traced = torch.jit.trace(model, images)
    other = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(traced(other), model(other))


def test_bfloat16_autocast_is_close_and_trains():
    model, images = small(), torch.randn(2, 3, 32, 32)
    model.load_state_dict(official_weights())
    (expected,) = model.eval()(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
        (small_out,) = model.train()(images)
    assert (out - expected).abs().mean() < 0.02 * expected.std()
    small_out.float().square().sum().backward()
    assert all(param.grad.isfinite().all() for param in model.parameters())


def train_two_steps(rank: int, port: int) -> None:
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
    mp.spawn(train_two_steps, (port,), nprocs=2)
