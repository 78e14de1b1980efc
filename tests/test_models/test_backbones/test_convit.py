import copy
import math

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from mmengine.utils import digit_version
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from timm.models.convit import ConVit as TimmConViT
from torch import nn

from vit_plugins.engine.launch import end_ranks
from vit_plugins.models.backbones.convit import ConViT
from vit_plugins.models.layers.gpsa import GPSA, local_pos_weight
from vit_plugins.weights.names.convit import CONVIT_NAMES

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=128)
SMALL = dict(arch=ARCH, img_size=32, patch_size=8, num_local_layers=2)  # a grid of 4 x 4
STEM = dict(type='HybridPatchEmbed', stem=dict(type='ResidualConvStem', channels=(4, 6, 8)))
SWITCHES = {
    'default': {},
    'no local layer': dict(num_local_layers=0),
    'all but one': dict(num_local_layers=3),
    'conv init off': dict(use_local_init=False),
    'gate fixed': dict(gate=0.5),
    'GPSA frozen': dict(freeze_gpsa=True),
    'PSA': dict(gpsa_mode='psa'),
    'PSA frozen': dict(gpsa_mode='psa', freeze_gpsa=True),
    'no position embedding': dict(use_pos_embed=False),
    'no final norm': dict(final_norm=False),
    'qkv bias': dict(qkv_bias=True),
    'attention dropout': dict(attn_drop_rate=0.2),
    'checkpointing': dict(with_cp=True),
    'feature map': dict(out_type='featmap'),
    'average': dict(out_type='avg_featmap'),
    'raw': dict(out_type='raw'),
    'before the class token': dict(out_type='raw', out_indices=0),
    'stem frozen': dict(frozen_stages=0),
    'stages frozen': dict(frozen_stages=3),
    'residual stem': dict(patch_cfg=STEM),
    'residual stem frozen': dict(patch_cfg=STEM, frozen_stages=0),
}


def small(**kwargs) -> ConViT:
    return ConViT(**{**SMALL, **kwargs})


def small_classifier(num_classes: int = 10, **backbone) -> nn.Module:
    head = dict(type='VisionTransformerClsHead', num_classes=num_classes, in_channels=32)
    backbone = dict(type='ConViT', **{**SMALL, **backbone})
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


def small_timm(randomised: bool = True, **kwargs) -> TimmConViT:
    model = TimmConViT(
        **{
            **dict(img_size=32, patch_size=8, embed_dim=8, depth=4, num_heads=4, num_classes=10),
            **dict(local_up_to_layer=2),
            **kwargs,
        }
    ).eval()
    with torch.no_grad():
        for name, param in model.named_parameters():
            if not randomised:
                break
            if 'gating_param' in name:
                param.normal_(std=2)
            elif 'pos_proj' in name:
                param.add_(0.1 * torch.randn_like(param))
            elif name.endswith('bias'):
                param.normal_(std=0.1)
    return model


def official_weights(**kwargs) -> dict:
    return small_timm(**kwargs).state_dict()


def holds(model: ConViT, weights: dict) -> bool:
    """Tell whether one weight of each kind has arrived."""
    names = {
        'blocks.0.attn.qk.weight': 'layers.0.attn.qk.weight',
        'blocks.1.attn.gating_param': 'layers.1.attn.gating_param',
        'blocks.3.attn.qkv.weight': 'layers.3.attn.qkv.weight',
        'blocks.2.mlp.fc2.bias': 'layers.2.ffn.layers.1.bias',
        'norm.weight': 'ln1.weight',
    }
    own = model.state_dict()
    return all(torch.equal(own[ours], weights[theirs]) for theirs, ours in names.items())


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
    with torch.device('meta'):
        model = MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=dict(type='ConViT', arch=arch),
                head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=dims),
            )
        )
    assert sum(param.numel() for param in model.parameters()) == params
    assert len(model.state_dict()) == 180
    frozen = [name for name, param in model.named_parameters() if not param.requires_grad]
    assert frozen == [f'backbone.layers.{i}.attn.pos_proj.bias' for i in range(10)]


@pytest.mark.parametrize('size', [(32, 32), (16, 64), (48, 40)])
@pytest.mark.parametrize(
    ('out_type', 'before', 'after'),
    [
        ('raw', 'bnd', 'b1nd'),
        ('featmap', 'bdhw', 'bdhw'),
        ('avg_featmap', 'bd', 'bd'),
        ('cls_token', None, 'bd'),
    ],
)
def test_output_shapes(size, out_type, before, after):
    h, w = size[0] // 8, size[1] // 8
    shapes = {'bnd': (2, h * w, 32), 'b1nd': (2, 1 + h * w, 32), 'bdhw': (2, 32, h, w)}
    shapes['bd'] = (2, 32)
    indices = (-1, 2) if before is None else (0, 1, -2, 3)
    outs = small(out_type=out_type, out_indices=indices)(torch.randn(2, 3, *size))
    assert isinstance(outs, tuple)
    kinds = [before if i in (0, 1) else after for i in indices]
    assert [tuple(out.shape) for out in outs] == [shapes[kind] for kind in kinds]


def test_output_types_agree():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 64)
    model = small(out_type='raw').eval()
    (raw,) = model(images)
    outs = {}
    for model.out_type in ('cls_token', 'featmap', 'avg_featmap'):
        (outs[model.out_type],) = model(images)
    torch.testing.assert_close(outs['cls_token'], raw[:, 0])
    torch.testing.assert_close(outs['featmap'].flatten(2).transpose(1, 2), raw[:, 1:])
    torch.testing.assert_close(outs['avg_featmap'], raw[:, 1:].mean(1))


def test_out_indices_in_the_order_given():
    model, images = (
        small(out_type='avg_featmap', out_indices=(3, 1)).eval(),
        torch.randn(1, 3, 32, 32),
    )
    outs = model(images)
    model.out_indices = (1, 3)
    for out, other in zip(outs, reversed(model(images)), strict=True):
        assert torch.equal(out, other)


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
    timms, ours = small_timm(qkv_bias=bias), small_classifier(qkv_bias=bias).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=dtype)
    torch.testing.assert_close(ours.to(dtype)(images), timms.to(dtype)(images), atol=tol, rtol=0)


def test_gradients_equal_timm():
    timms, ours = small_timm(), small_classifier()
    ours.load_state_dict(timms.state_dict())
    images, target = torch.randn(2, 3, 32, 32), torch.randn(2, 10)
    for model in (ours, timms):
        (model(images) * target).sum().backward()
    named = {name: param.grad for name, param in timms.named_parameters()}
    expected = CONVIT_NAMES.convert(named)
    for name, param in ours.named_parameters():
        if not name.endswith('pos_proj.bias'):
            error = (param.grad - expected[name]).norm() / expected[name].norm()
            assert error < 1e-4, name


@pytest.mark.slow
@pytest.mark.parametrize(('arch', 'dims', 'heads'), [('tiny', 192, 4), ('small', 432, 9)])
def test_equals_timm_at_full_size(arch, dims, heads):
    timms = small_timm(
        img_size=224, patch_size=16, embed_dim=48, depth=12, num_heads=heads, local_up_to_layer=10
    )
    ours = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='ConViT', arch=arch),
            head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=dims),
        )
    ).eval()
    ours.load_state_dict(timms.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), timms(images), atol=5e-6, rtol=0)
        out, expected = (model.double()(images.double()) for model in (ours, timms))
        torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'change',
    [
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
    same_output = out.shape == other.shape and torch.allclose(out, other, atol=1e-5)
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
        model.layers[1].attn.register_forward_hook(lambda *_, count=count: count.append(1))
        torch.manual_seed(1)
        model(images)[0].square().sum().backward()
        calls.append(len(count))
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
    assert calls == [1, 2]
    torch.testing.assert_close(*grads)


def test_drop_path_grows_linearly():
    with torch.device('meta'):
        model = ConViT(arch='tiny', drop_path_rate=0.1)
    rates = [
        (layer.attn.out_drop.drop_prob, layer.ffn.dropout_layer.drop_prob)
        for layer in model.layers
    ]
    expected = [0.1 * i / 11 for i in range(12)]
    assert rates == [(pytest.approx(rate),) * 2 for rate in expected]


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


def test_train_and_eval_can_be_chained():
    assert small().eval().training is False
    assert small().train().training is True


@pytest.mark.parametrize(
    ('name', 'depth'),
    [
        ('backbone.cls_token', 0),
        ('backbone.pos_embed', 0),
        ('backbone.patch_embed.projection.weight', 0),
        ('backbone.layers.0.attn.gating_param', 1),
        ('backbone.layers.3.ln2.bias', 4),
        ('backbone.ln1.weight', 5),
        ('head.layers.head.weight', 5),
    ],
)
def test_layer_depth(name, depth):
    assert small_classifier().get_layer_depth(name) == (depth, 6)
    if name.startswith('backbone.'):
        assert small().get_layer_depth(name.removeprefix('backbone.')) == (depth, 6)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='huge'), "arch 'huge' is none of tiny, tiny-plus"),
        (dict(arch=dict(embed_dims=32)), 'lacks feedforward_channels, num_heads, num_layers'),
        (
            dict(num_local_layers=4),
            r'num_local_layers \(4\) .*smaller than .*layers \(4\): the class',
        ),
        (dict(num_local_layers=-1), r'num_local_layers \(-1\)'),
        (dict(out_type='tokens'), "out_type 'tokens' is none of cls_token, featmap"),
        (dict(out_indices=4), r'out_indices \[4\] must name layers between -4 and 3'),
        (dict(out_indices=-5), r'out_indices \[-5\]'),
        (dict(out_indices=()), 'out_indices'),
        (dict(out_indices=(1, 3)), "out_type='cls_token' with .*num_local_layers=2 .*'featmap'"),
        (dict(interpolate_mode='nearest'), "'nearest' is none of bicubic, bilinear"),
        (dict(frozen_stages=5), r'frozen_stages \(5\) must be between -1 and 4'),
        (dict(arch={**ARCH, 'num_heads': 5}), 'must be a multiple of num_heads'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


# --- initialisation -----------------------------------------------------------------------------


def test_init_weights():
    model = small_classifier().backbone
    model.init_weights()
    for layer in model.layers:
        assert 0.015 < layer.ffn.layers[0][0].weight.std().item() < 0.025  # not Xavier
        assert not layer.ffn.layers[1].bias.any()
    assert 0.015 < model.pos_embed.std().item() < 0.025
    assert model.cls_token.any()


def test_start_survives_the_init_of_the_classifier():
    model = small_classifier()
    model.init_cfg = dict(type='TruncNormal', layer='Linear', std=0.02)
    model.init_weights()
    for layer in model.backbone.layers[:2]:
        assert torch.equal(layer.attn.v.weight, torch.eye(32))
        assert torch.equal(layer.attn.pos_proj.weight, local_pos_weight(4))
        assert layer.attn.gating_param.sigmoid().tolist() == pytest.approx([0.7310586] * 4)


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
def test_official_files_load_strictly_into_a_classifier(tmp_path, kind):
    wrap, suffix = FILES[kind]
    timms, model = small_timm(), small_classifier()
    load_checkpoint(model, save(tmp_path, wrap(timms.state_dict()), suffix), strict=True)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.eval()(images), timms(images), atol=5e-6, rtol=0)


@pytest.mark.parametrize('kind', [*FILES, 'mmpretrain'])
def test_files_load_into_a_bare_backbone(tmp_path, kind):
    weights = official_weights()
    if kind == 'mmpretrain':
        classifier = small_classifier()
        classifier.load_state_dict(weights)
        content, suffix = {'state_dict': classifier.state_dict(), 'meta': {}}, '.pth'
    else:
        wrap, suffix = FILES[kind]
        content = wrap(weights)
    file = save(tmp_path, content, suffix)
    model = small(init_cfg=dict(type='Pretrained', checkpoint=file))
    model.init_weights()
    assert holds(model, weights)
    assert torch.equal(model.pos_embed, weights['pos_embed'])
    strict = small()
    load_checkpoint(strict, file, strict=True)
    assert holds(strict, weights)


def test_load_from_of_the_runner(tmp_path):
    from mmengine.runner import Runner

    weights = official_weights()
    runner = Runner(
        model=small_classifier(),
        work_dir=str(tmp_path),
        load_from=save(tmp_path, weights),
        experiment_name='convit_load_from',
        default_scope='mmpretrain',
    )
    runner.load_or_resume()
    assert holds(runner.model.backbone, weights)


def test_all_180_keys_of_the_real_size():
    with torch.device('meta'):
        weights = small_timm(False, img_size=224, patch_size=16, embed_dim=48, depth=12, local_up_to_layer=10).state_dict()  # fmt: skip  # noqa: E501
        model = MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=dict(type='ConViT', arch='tiny'),
                head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=192),
            )
        )
    assert len(weights) == 180
    renamed = dict(weights)
    model.backbone._checkpoint_filter(renamed, '')
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in renamed.items()} == shapes


@pytest.mark.parametrize('bare', [False, True])
def test_unknown_and_missing_keys_are_named(tmp_path, bare):
    weights = official_weights()
    weights['blocks.0.attn.surprise'] = weights.pop('blocks.0.attn.gating_param')
    model = small() if bare else small_classifier()
    missing = ('' if bare else 'backbone.') + r'layers\.0\.attn\.gating_param'
    with pytest.raises(RuntimeError, match=rf'(?s)blocks\.0\.attn\.surprise.*{missing}'):
        load_checkpoint(model, save(tmp_path, weights), strict=True)


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('keys', [('layer1.0.conv1.weight', 'fc.weight'), ('backbone.stem',)])
def test_a_file_of_which_nothing_matches_is_an_error(tmp_path, bare, keys):
    model = small() if bare else small_classifier()
    file = save(tmp_path, dict.fromkeys(keys, torch.zeros(1)))
    with pytest.raises(RuntimeError, match=f'None of the {len(keys)} keys of the checkpoint bel'):
        load_checkpoint(model, file)


def test_weights_of_a_model_with_class_token_position_are_refused(tmp_path):
    weights = official_weights()
    weights['pos_embed'] = torch.zeros(1, 17, 32)
    with pytest.raises(ValueError, match='pos_embed of 17 tokens, which is no square grid'):
        load_checkpoint(small(), save(tmp_path, weights))


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('size', [(64, 48), (16, 64)])  # (16, 64): as many tokens as 32 x 32
def test_position_embedding_is_resized_at_load(size, bare):
    weights = official_weights()
    model = (small if bare else small_classifier)(img_size=size)
    model.load_state_dict(weights)
    embed = (model if bare else model.backbone).pos_embed
    square = weights['pos_embed'].transpose(1, 2).unflatten(2, (4, 4))
    grid = (size[0] // 8, size[1] // 8)
    expected = nn.functional.interpolate(square, grid, mode='bicubic')
    torch.testing.assert_close(embed, expected.flatten(2).transpose(1, 2))


def test_position_embedding_is_resized_in_forward_as_at_load():
    images, weights = torch.randn(1, 3, 16, 64), official_weights()
    square, wide = small().eval(), small(img_size=(16, 64)).eval()
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
    plain = small(img_size=(16, 64))  # without metadata equal numbers mean equal grids
    plain.load_state_dict(dict(wide.state_dict()))
    assert torch.equal(plain.pos_embed, wide.pos_embed)


def test_without_position_embedding_a_checkpoint_that_has_one_names_it():
    with pytest.raises(RuntimeError, match='pos_embed'):
        small(use_pos_embed=False).load_state_dict(official_weights())


def test_fixed_gate_is_not_loaded():
    model = small(gate=0.5)
    model.load_state_dict(official_weights())
    assert not model.layers[0].attn.gating_param.any()


# --- in other people's tools --------------------------------------------------------------------


def test_builds_through_another_registry():
    assert isinstance(ROOT_MODELS.build(dict(type='mmpretrain.ConViT', **SMALL)), ConViT)


def test_is_a_drop_in_for_the_host():
    assert ConViT.num_extra_tokens == VisionTransformer.num_extra_tokens
    assert set(ConViT.OUT_TYPES) == VisionTransformer.OUT_TYPES


def test_deepcopy_and_dtype_after_a_forward():
    model, images = small().eval(), torch.randn(1, 3, 32, 48)
    (expected,) = model(images)
    twin = copy.deepcopy(model).double()
    torch.testing.assert_close(twin(images.double())[0].float(), expected)
    twin.load_state_dict(model.state_dict())
    assert twin.layers[0].attn.qk.weight is not model.layers[0].attn.qk.weight


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


def test_bfloat16_autocast_is_close():
    model, images = small().eval(), torch.randn(2, 3, 32, 32)
    (expected,) = model(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
    assert (out - expected).abs().mean() < 0.02 * expected.std()


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


def test_local_layers_are_gpsa():
    kinds = [isinstance(layer.attn, GPSA) for layer in small().layers]
    assert kinds == [True, True, False, False]
