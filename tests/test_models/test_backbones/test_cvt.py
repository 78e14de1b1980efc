"""Tests for CvT alone; test_contract.py has the tests of all backbones."""

import copy
import math
import re
from functools import partial

import pytest
import small_backbones
import torch
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from small_backbones import CVT_ARCH, meta_classifier, official_weights, randomised
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vit_plugins.models.backbones.cvt import CvT

BOTH = pytest.mark.parametrize('style', ['official', 'gap'])
small = partial(small_backbones.small, 'CvT')
classifier = partial(small_backbones.classifier, 'CvT')


def holds(model: CvT, weights: dict) -> bool:
    """Return whether the model has the weights."""
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


# --- a slow reference, from the paper and the official names ------------------------------------


def patches_of(x, kernel, stride, padding):
    """Yield tap (i, j) and its inputs from a map (B, C, H, W), zeros outside: (B, C, H', W')."""
    b, c, h, w = x.shape
    padded = x.new_zeros(b, c, h + 2 * padding, w + 2 * padding)
    padded[:, :, padding : padding + h, padding : padding + w] = x
    rows = (h + 2 * padding - kernel) // stride + 1
    cols = (w + 2 * padding - kernel) // stride + 1
    for i in range(kernel):
        for j in range(kernel):
            yield i, j, padded[:, :, i:, j:][:, :, ::stride, ::stride][:, :, :rows, :cols]


def layer_norm(x, w, name):
    mean = x.mean(-1, keepdim=True)
    std = ((x - mean).square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return (x - mean) / std * w[f'{name}.weight'] + w[f'{name}.bias']


def linear(x, w, name):
    return x @ w[f'{name}.weight'].T + w.get(f'{name}.bias', 0)


def conv_tokens(grid, w, name, stride, training):
    """Compute depth-wise convolution and batch norm, as a sequence (B, M, C)."""
    kernel = w[f'{name}.conv.weight']
    x = sum(kernel[:, 0, i, j, None, None] * tap for i, j, tap in patches_of(grid, 3, stride, 1))
    x = x.flatten(2).transpose(1, 2)
    mean, var = w[f'{name}.bn.running_mean'], w[f'{name}.bn.running_var']
    if training:
        mean, var = x.mean((0, 1)), (x - x.mean((0, 1))).square().mean((0, 1))
    return (x - mean) / (var + 1e-5).sqrt() * w[f'{name}.bn.weight'] + w[f'{name}.bn.bias']


def reference(weights, images, style='official', training=False, arch=CVT_ARCH):
    """Return the map (B, D, H, W) of each stage and the class token, not normalised."""
    w = {name: value.double() for name, value in weights.items()}
    gap, x, maps, cls = style == 'gap', images.double(), [], None
    for s, depth in enumerate(arch['depths']):
        dims, heads = arch['embed_dims'][s], arch['num_heads'][s]
        kernel, stride, padding = ((7, 4, 3 if gap else 2), (3, 2, 1), (3, 2, 1))[s]
        conv = w[f'stage{s}.patch_embed.proj.weight']
        x = sum(
            torch.einsum('bchw,dc->bdhw', tap, conv[:, :, i, j])
            for i, j, tap in patches_of(x, kernel, stride, padding)
        )
        h, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2) + w[f'stage{s}.patch_embed.proj.bias']
        x = layer_norm(x, w, f'stage{s}.patch_embed.norm')
        extra = 0
        if s == 2 and not gap:
            extra = 1
            x = torch.cat((w['stage2.cls_token'].expand(len(x), 1, dims), x), dim=1)
        for j in range(depth):
            block = f'stage{s}.blocks.{j}'
            y = layer_norm(x, w, f'{block}.norm1')
            grid = y[:, extra:].transpose(1, 2).reshape(len(x), dims, h, width)
            q, k, v = (
                torch.cat(
                    (
                        y[:, :extra],
                        conv_tokens(
                            grid,
                            w,
                            f'{block}.attn.conv_proj_{"kv" if gap and n != "q" else n}',
                            1 if n == 'q' else 2,
                            training,
                        ),
                    ),
                    dim=1,
                )
                for n in 'qkv'
            )
            q, k, v = (
                linear(t, w, f'{block}.attn.proj_{n}') for t, n in ((q, 'q'), (k, 'k'), (v, 'v'))
            )
            d = dims // heads
            out = []
            for head in range(heads):
                part = slice(head * d, (head + 1) * d)
                logits = q[..., part] @ k[..., part].mT / math.sqrt(d if gap else dims)
                attn = logits.exp() / logits.exp().sum(-1, keepdim=True)
                out.append(attn @ v[..., part])
            x = x + linear(torch.cat(out, -1), w, f'{block}.attn.proj')
            y = linear(layer_norm(x, w, f'{block}.norm2'), w, f'{block}.mlp.fc1')
            y = y * (1 + torch.erf(y / 2**0.5)) / 2 if gap else y / (1 + torch.exp(-1.702 * y))
            x = x + linear(y, w, f'{block}.mlp.fc2')
        cls = x[:, :1]
        x = x[:, extra:].transpose(1, 2).reshape(len(x), dims, h, width)
        maps.append(x)
    return maps, cls


@BOTH
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('size', [(32, 32), (64, 40), (33, 50)])
def test_maps_of_all_stages_equal_the_reference(style, training, size):
    model = randomised(small(style=style, out_type='featmap', out_indices=(0, 1, 2))).double()
    weights, images = copy.deepcopy(model.state_dict()), torch.randn(2, 3, *size).double()
    expected, _ = reference(weights, images, style, training)
    for out, other in zip(model.train(training)(images), expected, strict=True):
        torch.testing.assert_close(out, other, atol=1e-11, rtol=1e-11)


@BOTH
def test_single_precision(style):
    model, images = small(style=style, out_type='featmap').eval(), torch.randn(2, 3, 64, 40)
    model.init_weights()
    expected, _ = reference(model.state_dict(), images, style)
    torch.testing.assert_close(model(images)[0].double(), expected[-1], atol=5e-6, rtol=0)


@pytest.mark.parametrize('training', [False, True])
def test_class_token_equals_the_reference(training):
    model = randomised(small()).double()
    weights, images = copy.deepcopy(model.state_dict()), torch.randn(2, 3, 48, 32).double()
    _, cls = reference(weights, images, training=training)
    expected = layer_norm(cls[:, 0], weights, 'norm')
    torch.testing.assert_close(model.train(training)(images)[0], expected, atol=1e-11, rtol=0)


def test_gradients_equal_the_reference():
    model = randomised(small()).double().train()
    weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
    for name, _ in model.named_parameters():
        weights[name].requires_grad = True
    images, target = torch.randn(2, 3, 32, 48).double(), torch.randn(2, 24).double()
    _, cls = reference(weights, images, training=True)
    (layer_norm(cls[:, 0], weights, 'norm') * target).sum().backward()
    (model(images)[0] * target).sum().backward()
    for name, param in model.named_parameters():
        torch.testing.assert_close(param.grad, weights[name].grad, atol=1e-9, rtol=1e-9)


def test_batch_norm_follows_the_batch():
    model, images = randomised(small(out_indices=0, out_type='featmap')).double(), []
    conv = model.stage0.blocks[0].attn.conv_proj_k
    conv.conv.register_forward_hook(lambda _, __, out: images.append(out))
    before = conv.bn.running_mean.clone()
    model.train()(torch.randn(2, 3, 32, 32).double())
    expected = 0.9 * before + 0.1 * images[0].mean((0, 2, 3))
    torch.testing.assert_close(conv.bn.running_mean, expected)
    assert conv.bn.num_batches_tracked == 8


# --- against other people's ---------------------------------------------------------------------


def transformers_name(key: str) -> str:
    """Return the key of ``CvtForImageClassification`` for an official key."""
    if key.startswith('norm.'):
        return key.replace('norm.', 'layernorm.')
    if key.startswith('head.'):
        return key.replace('head.', 'classifier.')
    long = {'q': 'query', 'k': 'key', 'v': 'value'}
    inner = 'attention.attention.convolution_projection_'
    for pattern, new in (
        (r'stage(\d)\.', r'cvt.encoder.stages.\1.'),
        (r'patch_embed\.proj', 'embedding.convolution_embeddings.projection'),
        (r'patch_embed\.norm', 'embedding.convolution_embeddings.normalization'),
        (r'blocks\.', 'layers.'),
        (r'norm1', 'layernorm_before'),
        (r'norm2', 'layernorm_after'),
        (r'mlp\.fc1', 'intermediate.dense'),
        (r'mlp\.fc2', 'output.dense'),
        (r'attn\.conv_proj_(.)', lambda m: f'{inner}{long[m[1]]}.convolution_projection'),
        (r'attn\.proj_(.)', lambda m: f'attention.attention.projection_{long[m[1]]}'),
        (r'attn\.proj\.', 'attention.output.dense.'),
        (r'\.conv\.weight', '.convolution.weight'),
        (r'\.bn\.', '.normalization.'),
    ):
        key = re.sub(pattern, new, key)
    return key


@pytest.mark.parametrize('training', [False, True])
def test_equals_transformers(training):
    cvt = pytest.importorskip('transformers').models.cvt
    settings = dict(embed_dim=[8, 16, 24], num_heads=[1, 2, 3], depth=[1, 2, 3], num_labels=10)
    theirs = cvt.CvtForImageClassification(cvt.CvtConfig(**settings, drop_path_rate=[0.0] * 3))
    arch = {**CVT_ARCH, 'depths': (1, 2, 3)}  # theirs needs no fewer blocks in the last stage
    weights = official_weights('CvT', arch=arch)
    theirs.load_state_dict({transformers_name(key): value for key, value in weights.items()})
    ours = classifier(arch=arch)
    ours.load_state_dict(weights)
    for stage in theirs.cvt.encoder.stages:  # transformers' exact GELU is not the official one
        for layer in stage.layers:
            layer.intermediate.activation = ours.backbone.stage0.blocks[0].mlp.act
    images = torch.randn(2, 3, 64, 48).double()
    out = ours.double().train(training)(images)
    expected = theirs.double().train(training)(images).logits
    torch.testing.assert_close(out, expected, atol=1e-11, rtol=0)


def vit_pytorch_weights(weights: dict) -> dict:
    """Return the weights by the names of lucidrains' CvT, whose layers are 1 x 1 convolutions."""
    found = {}
    for key, value in weights.items():
        s, _, rest = key.removeprefix('stage').partition('.')
        j, _, part = rest.removeprefix('blocks.').partition('.')
        layer = f'layers.{s}.2.layers.{j}'
        place = {
            'patch_embed.proj': f'layers.{s}.0',
            'patch_embed.norm': f'layers.{s}.1',
            'norm1': f'{layer}.0.norm',
            'norm2': f'{layer}.1.net.0',
            'mlp.fc1': f'{layer}.1.net.1',
            'mlp.fc2': f'{layer}.1.net.4',
            'attn.conv_proj_q.conv': f'{layer}.0.to_q.net.0',
            'attn.conv_proj_q.bn': f'{layer}.0.to_q.net.1',
            'attn.proj_q': f'{layer}.0.to_q.net.2',
            'attn.conv_proj_kv.conv': f'{layer}.0.to_kv.net.0',
            'attn.conv_proj_kv.bn': f'{layer}.0.to_kv.net.1',
            'attn.proj_k': f'{layer}.0.to_kv.net.2',
            'attn.proj': f'{layer}.0.to_out.0',
            'head': 'to_logits.2',
        }
        if key.startswith('head'):
            found[key.replace('head', place['head'])] = value
            continue
        module, _, kind = (part if rest.startswith('blocks') else rest).rpartition('.')
        if module == 'attn.proj_v':
            continue
        if module == 'attn.proj_k':
            value = torch.cat((value, weights[key.replace('proj_k', 'proj_v')]))
        if 'norm' in module:
            kind, value = kind[0].replace('w', 'g'), value[None, :, None, None]
        elif value.ndim == 2:
            value = value[:, :, None, None]
        found[f'{place[module]}.{kind}'] = value
    return found


@pytest.mark.parametrize('training', [False, True])
def test_gap_style_equals_vit_pytorch(training):
    cvt = pytest.importorskip('vit_pytorch.cvt')
    arch = dict(embed_dims=(64, 128, 192), num_heads=(1, 2, 3), depths=(1, 2, 2))
    stages = {f's{i + 1}_emb_dim': width for i, width in enumerate(arch['embed_dims'])}
    stages |= {f's{i + 1}_heads': heads for i, heads in enumerate(arch['num_heads'])}
    stages |= {f's{i + 1}_depth': depth for i, depth in enumerate(arch['depths'])}
    theirs = cvt.CvT(num_classes=10, **stages)
    ours, weights = (
        classifier(arch=arch, style='gap'),
        official_weights('CvT', arch=arch, style='gap'),
    )
    ours.load_state_dict(weights)
    theirs.load_state_dict(vit_pytorch_weights(weights))
    images = torch.randn(2, 3, 64, 48).double()
    out = ours.double().train(training)(images)
    expected = theirs.double().train(training)(images)
    torch.testing.assert_close(out, expected, atol=1e-9, rtol=1e-9)


# --- size and shape -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arch', 'style', 'params', 'keys'),
    [
        ('13', 'official', 19_997_480, 459),
        ('21', 'official', 31_622_696, 731),
        ('w24', 'official', 277_196_392, 833),
        ('13', 'gap', 19_936_296, None),
    ],
)
def test_parameters_of_the_architectures(arch, style, params, keys):
    width = CvT.arch_zoo[arch]['embed_dims'][-1]
    model = meta_classifier('CvT', width, 'LinearClsHead', arch=arch, style=style)
    assert sum(param.numel() for param in model.parameters()) == params
    assert all(param.requires_grad for param in model.parameters())
    if keys:
        assert len(model.state_dict()) == keys
    for stage in model.backbone.stages:  # the number of heads adds no parameters
        for attn in (block.attn for block in stage.blocks):
            assert attn.proj.in_features == 64 * attn.num_heads


@pytest.mark.parametrize(
    ('arch', 'style', 'size', 'gmacs'),
    [
        ('13', 'official', 224, 4.566),
        pytest.param('13', 'official', 384, 16.27, marks=pytest.mark.slow),
        pytest.param('21', 'official', 224, 7.178, marks=pytest.mark.slow),
        pytest.param('21', 'official', 384, 24.85, marks=pytest.mark.slow),
        ('13', 'gap', 224, 4.544),
    ],
)
def test_multiplications_of_the_architectures(arch, style, size, gmacs):
    """The numbers were counted in the official and the DRLoc code."""
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as counter:
        CvT(arch=arch, style=style).eval()(torch.empty(1, 3, size, size))
    head = 384 * 1000
    counted = (counter.get_total_flops() / 2 + head) / 1e9
    assert counted == pytest.approx(gmacs, abs=0.5 * 10 ** -len(str(gmacs).split('.')[1]))


@BOTH
@pytest.mark.parametrize(
    ('size', 'grids'),
    [
        ((64, 64), ((16, 16), (8, 8), (4, 4))),
        ((224, 160), ((56, 40), (28, 20), (14, 10))),
        ((32, 32), ((8, 8), (4, 4), (2, 2))),
        ((16, 16), ((4, 4), (2, 2), (1, 1))),
    ],
)
def test_grids(style, size, grids):
    model = small(style=style, out_type='featmap', out_indices=(0, 1, 2)).eval()
    with torch.no_grad():
        outs = model(torch.randn(2, 3, *size))
    assert isinstance(outs, tuple)
    assert tuple(out.shape[2:] for out in outs) == grids


@BOTH
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap', 'cls_token'])
def test_output_shapes(style, out_type):
    if (style, out_type) == ('gap', 'cls_token'):
        pytest.skip('there is no class token')
    extra = int(style == 'official')
    shapes = {
        'raw': [(2, 48, 16), (2, 12 + extra, 24)],
        'featmap': [(2, 16, 8, 6), (2, 24, 4, 3)],
        'avg_featmap': [(2, 16), (2, 24)],
        'cls_token': [(2, 24)],
    }[out_type]
    indices = (1, -1) if len(shapes) == 2 else -1
    model = small(style=style, out_type=out_type, out_indices=indices)
    assert [tuple(out.shape) for out in model(torch.randn(2, 3, 64, 48))] == shapes
    assert model.num_extra_tokens == extra


def test_output_types_agree():
    """The final norm is for the class token and the mean; the map leaves the last block."""
    model, images = randomised(small(out_type='raw')), torch.randn(2, 3, 32, 64)
    (raw,) = model(images)
    outs, seen = {}, []
    model.stage2.blocks[-1].register_forward_hook(lambda _, __, out: seen.append(out))
    for model.out_type in ('cls_token', 'featmap', 'avg_featmap'):
        (outs[model.out_type],) = model(images)
    torch.testing.assert_close(outs['cls_token'], raw[:, 0])
    torch.testing.assert_close(outs['cls_token'], model.norm(seen[0][:, 0]))
    assert torch.equal(outs['featmap'].flatten(2).transpose(1, 2), seen[0][:, 1:])
    assert torch.equal(raw[:, 1:], seen[0][:, 1:])
    torch.testing.assert_close(outs['avg_featmap'], model.norm(raw[:, 1:]).mean(1))


def test_gap_style_has_no_norm_before_the_mean():
    model, images = randomised(small(style='gap', out_type='featmap')), torch.randn(2, 3, 32, 64)
    (featmap,) = model(images)
    model.out_type = 'avg_featmap'
    torch.testing.assert_close(model(images)[0], featmap.mean((2, 3)))


def test_class_token_and_map_do_not_mix_in_the_convolutions():
    """The convolutions read the grid only: the token before it changes none of their outputs."""
    attn = randomised(small()).stage2.blocks[0].attn
    x = torch.randn(1, 13, 24)
    other = x.clone()
    other[:, 0] += 1
    for t, u in zip(attn.project(x, (4, 3)), attn.project(other, (4, 3)), strict=True):
        assert torch.equal(t[:, :, 1:], u[:, :, 1:])
        assert not torch.equal(t[:, :, 0], u[:, :, 0])


def test_keys_and_values_are_squeezed():
    q, k, v = small().stage2.blocks[0].attn.project(torch.randn(2, 1 + 15, 24), (5, 3))
    assert q.shape == (2, 3, 16, 8)
    assert k.shape == v.shape == (2, 3, 1 + 3 * 2, 8)


# --- arguments ----------------------------------------------------------------------------------


@BOTH
def test_drop_path_grows_linearly_in_the_last_stage(style):
    with torch.device('meta'):
        model = CvT(style=style, drop_path_rate=0.1)
    rates = [[block.drop_path.drop_prob for block in stage.blocks] for stage in model.stages]
    assert rates == [[0.0], [0.0, 0.0], [pytest.approx(0.1 * j / 9) for j in range(10)]]


@BOTH
@pytest.mark.parametrize('stages', [-1, 0, 2, 3])
def test_frozen_stages(style, stages):
    model = small(style=style, frozen_stages=stages, drop_rate=0.5).train()
    before = copy.deepcopy(dict(model.named_buffers()))
    images = torch.randn(2, 3, 32, 32)
    model(images)
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    assert ('stage0.patch_embed.proj.weight' in trained) == (stages < 0)
    for i, stage in enumerate(model.stages):
        frozen = i < stages
        assert any(name.startswith(f'stage{i}.blocks.') for name in trained) != frozen
        for name, value in stage.named_buffers():  # the statistics of batch norms
            assert torch.equal(value, before[f'stage{i}.{name}']) == frozen, name
    assert model.stage0.drop.training == (stages < 0)
    if style == 'official':
        assert ('stage2.cls_token' in trained) == ('norm.weight' in trained) == (stages < 3)
    if stages == 3:  # no dropout is left: evaluation mode survived model.train()
        assert not trained
        torch.testing.assert_close(model(images), model(images))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(arch='14'), "arch '14' is none of 13, 21, w24"),
        (dict(arch=14), 'arch 14 is none of 13, 21, w24'),
        (dict(style='mean'), "style 'mean' is none of official, gap"),
        (dict(arch=dict(embed_dims=(8,))), 'lacks depths, num_heads'),
        (
            dict(arch={**CVT_ARCH, 'depths': (1, 1)}),
            'lists of the arch dict are of different length',
        ),
        (dict(arch={**CVT_ARCH, 'num_heads': (1, 3, 3)}), r'embed_dims \(16\) must be a multip'),
        (dict(kv_stride=0), r'kv_stride \(0\) must be at least 1'),
        (dict(strides=(4, 0, 2)), r'strides \(4, 0, 2\) must be at least 1 each'),
        (dict(paddings=(2, 1, -1)), r'paddings \(2, 1, -1\) must be at least 0 each'),
        (dict(strides=(4, 2)), r'strides \(4, 2\) must have one number for each of the 3 stages'),
        (dict(patch_sizes=(7,)), 'patch_sizes'),
        (dict(paddings=(1, 1, 1, 1)), 'paddings'),
        (dict(out_indices=(1, 2)), "out_type='cls_token' with .*only the last stage .*'featmap'"),
        (dict(style='gap', out_type='cls_token'), "style='gap': there is none .*'avg_featmap'"),
        (dict(out_indices=3), r'out_indices \[3\] must name stages between -3 and 2'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


def test_arch_may_come_from_the_command_line_as_a_number():
    with torch.device('meta'):
        assert CvT(arch=21).depths == (1, 4, 16)


def test_number_of_stages_is_that_of_the_arch():
    arch = dict(embed_dims=(8, 16), num_heads=(1, 2), depths=(1, 1))
    model = CvT(arch, patch_sizes=(3, 3), strides=(2, 2), paddings=(1, 1), out_type='raw')
    assert model(torch.randn(2, 3, 32, 16))[0].shape == (2, 1 + 8 * 4, 16)


# --- initialisation -----------------------------------------------------------------------------


def test_official_init():
    model = CvT(dict(embed_dims=(64, 64, 64), num_heads=(1, 1, 1), depths=(1, 1, 1)))
    convs = {n: p.clone() for n, p in model.named_parameters() if p.ndim == 4}
    token = model.stage2.cls_token.clone()
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            assert 0.018 < module.weight.std().item() < 0.022
            assert not module.bias.any()
    for name, value in convs.items():  # PyTorch's own, as in the official code
        assert torch.equal(dict(model.named_parameters())[name], value)
    assert torch.equal(model.stage2.cls_token, token)
    assert 0.01 < token.std().item() < 0.03


def test_gap_init_is_that_of_pytorch():
    model = small(style='gap')
    before = copy.deepcopy(model.state_dict())
    model.init_weights()
    assert holds(model, before)
    weight = model.stage2.blocks[0].mlp.fc1.weight
    assert 0.9 / 24**0.5 < weight.abs().max() <= 1 / 24**0.5


# --- loading ------------------------------------------------------------------------------------


def expected_names(depths) -> set[str]:
    """Return the names in an official file, as the specification lists them."""
    names = {'stage2.cls_token'}
    both = ('weight', 'bias')
    names |= {f'{module}.{kind}' for module in ('norm', 'head') for kind in both}
    bn = (*both, 'running_mean', 'running_var', 'num_batches_tracked')
    for s, depth in enumerate(depths):
        names |= {f'stage{s}.patch_embed.{m}.{kind}' for m in ('proj', 'norm') for kind in both}
        for j in range(depth):
            block = f'stage{s}.blocks.{j}'
            parts = ('norm1', 'norm2', 'mlp.fc1', 'mlp.fc2', 'attn.proj')
            parts += tuple(f'attn.proj_{n}' for n in 'qkv')
            names |= {f'{block}.{part}.{kind}' for part in parts for kind in both}
            for n in 'qkv':
                names.add(f'{block}.attn.conv_proj_{n}.conv.weight')
                names |= {f'{block}.attn.conv_proj_{n}.bn.{kind}' for kind in bn}
    return names


@pytest.mark.parametrize(('arch', 'keys'), [('13', 459), ('21', 731), ('w24', 833)])
def test_all_keys_of_the_real_sizes(arch, keys):
    model = meta_classifier('CvT', 1024, 'LinearClsHead', arch=arch)
    names = expected_names(CvT.arch_zoo[arch]['depths'])
    assert len(names) == keys
    renamed = dict.fromkeys(names)
    model.backbone._checkpoint_filter(renamed, '')
    assert renamed.keys() == model.state_dict().keys()


def test_official_weights_compute_what_the_reference_does():
    weights, model = official_weights('CvT'), classifier()
    model.load_state_dict(weights)
    weights = {name: value.double() for name, value in weights.items()}
    _, cls = reference(weights, images := torch.randn(1, 3, 32, 32).double())
    expected = linear(layer_norm(cls[:, 0], weights, 'norm'), weights, 'head')
    torch.testing.assert_close(model.eval().double()(images), expected, atol=1e-11, rtol=0)


def save(tmp_path, content) -> str:
    torch.save(content, tmp_path / 'weights.pth')
    return str(tmp_path / 'weights.pth')


def test_official_files_load_strictly_into_drloc(tmp_path):
    head = dict(
        type='DRLocHead',
        in_channels=24,
        head=dict(type='LinearClsHead', num_classes=10, in_channels=24),
    )
    backbone = dict(type='CvT', arch=CVT_ARCH, out_type='raw')
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    weights, plain = official_weights('CvT'), classifier().eval()
    file = save(tmp_path, weights)
    load_checkpoint(model, file, strict=True)
    load_checkpoint(plain, file, strict=True)
    assert torch.equal(model.head.cls_head.fc.weight, weights['head.weight'])
    images = torch.randn(1, 3, 32, 48)
    assert torch.equal(model.eval()(images), plain(images))


def test_the_vit_head_takes_the_backbone_and_names_what_is_left(tmp_path):
    weights, model = official_weights('CvT'), classifier('VisionTransformerClsHead')
    file = save(tmp_path, weights)
    load_checkpoint(model, file)
    assert holds(model.backbone, weights)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(RuntimeError, match=r'(?s)head\.fc\.weight.*head\.layers\.head\.weight'):
        load_checkpoint(model, file, strict=True)


def test_a_position_embedding_in_a_file_is_named():
    weights = {**small().state_dict(), 'pos_embed': torch.zeros(1, 17, 24)}
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "pos_embed"'):
        small().load_state_dict(weights)


def test_the_other_style_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match=r'(?s)conv_proj_k\.conv.*conv_proj_kv\.conv'):
        load_checkpoint(
            classifier(style='gap'), save(tmp_path, official_weights('CvT')), strict=True
        )


# --- with the localization loss -----------------------------------------------------------------


def drloc_classifier(backbone: dict, **settings) -> nn.Module:
    cls_head = dict(type='LinearClsHead', num_classes=10, in_channels=24)
    head = dict(type='DRLocHead', in_channels=24, num_pairs=8, hidden_dims=(16,), head=cls_head)
    backbone = dict(type='CvT', arch=CVT_ARCH, **backbone)
    model = MODELS.build(
        dict(type='ImageClassifier', backbone=backbone, head={**head, **settings})
    )
    model.head.attach(model)
    return randomised(model)


@pytest.mark.parametrize(
    ('backbone', 'settings', 'size'),
    [
        (dict(out_type='raw'), dict(), (64, 96)),
        (dict(out_type='raw'), dict(patch_size=16), (64, 96)),
        (dict(), dict(source='backbone.stage2'), (70, 50)),
        (dict(with_cp=True), dict(source='backbone.stage2.blocks.1'), (70, 50)),
        (dict(style='gap', out_type='featmap'), dict(num_extra_tokens=0), (70, 50)),
    ],
    ids=['raw', 'patch', 'stage', 'block', 'gap'],
)
def test_drloc_gets_the_map_as_it_leaves_the_last_block(backbone, settings, size):
    from mmpretrain.structures import DataSample

    model = drloc_classifier(backbone, **settings)
    seen, grids = [], []
    model.backbone.stage2.blocks[-1].register_forward_hook(lambda *args: seen.append(args))
    inner = model.head.drloc.unweighted
    model.head.drloc.unweighted = lambda grid: grids.append(grid) or inner(grid)
    samples = [DataSample(metainfo=dict(img_shape=size)).set_gt_label(i) for i in range(2)]
    images = torch.randn(2, 3, *size)
    losses = model.loss(images, samples)
    assert set(losses) == {'loss_cls', 'loss_drloc', 'drloc_raw'}
    model.parse_losses(losses)[0].backward()
    assert all(param.grad is not None for param in model.parameters())
    _, (_, shape), tokens = seen[0]
    expected = tokens[:, -shape[0] * shape[1] :].transpose(1, 2).unflatten(2, shape)
    assert torch.equal(grids[0], expected)
    assert model.predict(images)[0].pred_score.shape == (10,)


# --- in other people's tools --------------------------------------------------------------------


def test_sync_batch_norm_of_the_runner():
    from mmengine.model import convert_sync_batchnorm

    model = convert_sync_batchnorm(small())
    norms = [m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 3 * sum(CVT_ARCH['depths'])


def test_bfloat16_autocast_of_the_gap_style_is_close():
    model, images = small(style='gap').eval(), torch.randn(2, 3, 32, 32)
    (expected,) = model(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
    assert (out - expected).abs().mean() < 0.02 * expected.std()
