import itertools
import math
from functools import partial

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from vit_plugins.models.backbones.t2t_vit_performer import T2TViTPerformer
from vit_plugins.models.layers.token_performer import TokenPerformer
from vit_plugins.weights.converting import convert_checkpoint

SMALL = dict(
    img_size=32,
    embed_dims=16,
    num_layers=2,
    token_dims=8,
    layer_cfgs=dict(num_heads=2, feedforward_channels=32),
)


def test_parameters_are_those_of_the_official_model():
    """21,545,550 with 79,744 that are not trained: 2 x 2,048 directions, 197 x 384 positions."""
    head = dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384)
    with torch.device('meta'):
        model = MODELS.build(
            dict(type='ImageClassifier', backbone=dict(type='T2TViTPerformer'), head=head)
        )
    assert sum(param.numel() for param in model.parameters()) == 21_545_550 - 79_744
    assert sum(buffer.numel() for buffer in model.buffers()) == 79_744
    backbone, module = model.backbone, model.backbone.tokens_to_token
    assert len(backbone.encoder) == 14
    assert {layer.attn.num_heads for layer in backbone.encoder} == {6}
    drops = [m.p for m in module.modules() if isinstance(m, torch.nn.Dropout)]
    assert drops == [0.1] * 4  # only here: after the projection and the MLP of each performer
    assert not any(m.p for m in backbone.encoder.modules() if isinstance(m, torch.nn.Dropout))


@pytest.mark.parametrize('with_cls_token', [True, False])
@pytest.mark.parametrize('size', [(32, 32), (48, 64)])
def test_runs_and_trains_with_and_without_class_token(with_cls_token, size):
    out_type = 'cls_token' if with_cls_token else 'featmap'
    model = T2TViTPerformer(**SMALL, with_cls_token=with_cls_token, out_type=out_type)
    model.init_weights()
    (out,) = model(torch.randn(2, 3, *size))
    assert out.shape == ((2, 16) if with_cls_token else (2, 16, size[0] // 16, size[1] // 16))
    out.square().sum().backward()
    assert all(param.grad is not None for param in model.parameters())


def test_tokens_are_made_by_performers():
    module = T2TViTPerformer(**SMALL).tokens_to_token
    assert isinstance(module.attention1, TokenPerformer)
    assert isinstance(module.attention2, TokenPerformer)


def test_out_indices():
    model = T2TViTPerformer(**SMALL, out_type='featmap', out_indices=(0, -1))
    assert len(model(torch.randn(1, 3, 32, 32))) == 2
    with pytest.raises(ValueError, match=r'out_indices \[2\] must name layers between -2 and 1'):
        T2TViTPerformer(**SMALL, out_indices=2)


def test_layers_after_the_last_output_are_frozen():
    model = T2TViTPerformer(**SMALL, out_indices=0)
    model(torch.randn(1, 3, 32, 32))[0].sum().backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.named_parameters() if p.grad is not None}
    assert 'encoder.0.ln2.weight' in trained
    assert trained.isdisjoint(('encoder.1.ln2.weight', 'norm.weight'))
    whole = T2TViTPerformer(**SMALL, out_indices=(0, -1))
    assert all(param.requires_grad for param in whole.parameters())


def test_size_of_a_square():
    model = T2TViTPerformer(**{**SMALL, 'img_size': (32, 32)})
    assert model.pos_embed.shape == (1, 5, 16)
    with pytest.raises(ValueError, match=r'img_size \(32, 64\) must be a square: give one number'):
        T2TViTPerformer(**{**SMALL, 'img_size': (32, 64)})


def test_refuses_the_hosts_settings():
    with pytest.raises(ValueError, match='t2t_cfg is not taken'):
        T2TViTPerformer(t2t_cfg=dict(use_performer=True))


def official_weights(depth=2, width=16, token=8, classes=10, cells=4):
    """Return weights with names and shapes of the authors' T2T_ViT, Token_performer and Block."""
    linear = {
        'tokens_to_token.project': (width, 9 * token),
        'head': (classes, width),
        **{f'blocks.{i}.attn.proj': (width, width) for i in range(depth)},
        **{f'blocks.{i}.mlp.fc1': (2 * width, width) for i in range(depth)},
        **{f'blocks.{i}.mlp.fc2': (width, 2 * width) for i in range(depth)},
    }
    shapes = {
        'cls_token': (1, 1, width),
        'pos_embed': (1, 1 + cells, width),
        'norm.weight': (width,),
    }
    shapes['norm.bias'] = (width,)
    for i in range(depth):
        shapes[f'blocks.{i}.attn.qkv.weight'] = (3 * width, width)
        for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias'):
            shapes[f'blocks.{i}.{name}'] = (width,)
    for name, width_in in (('attention1', 147), ('attention2', 9 * token)):
        module = f'tokens_to_token.{name}'
        shapes[f'{module}.w'] = (token // 2, token)
        linear[f'{module}.kqv'] = (3 * token, width_in)
        linear |= {f'{module}.{part}': (token, token) for part in ('proj', 'mlp.0', 'mlp.2')}
        for norm, size in (('norm1', width_in), ('norm2', token)):
            shapes |= {f'{module}.{norm}.weight': (size,), f'{module}.{norm}.bias': (size,)}
    for name, (d_out, d_in) in linear.items():
        shapes |= {f'{name}.weight': (d_out, d_in), f'{name}.bias': (d_out,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def test_official_files_convert_and_load_strictly(tmp_path):
    average, last = official_weights(), official_weights()
    src, dst = str(tmp_path / 'official.pth.tar'), str(tmp_path / 'converted.pth')
    torch.save({'state_dict': last, 'state_dict_ema': average, 'epoch': 300}, src)
    assert convert_checkpoint(src, dst, 't2t') == len(average)
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=16)
    backbone = dict(type='T2TViTPerformer', **SMALL)
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    load_checkpoint(model, dst, strict=True)
    weights = model.state_dict()
    for theirs, ours in (
        ('tokens_to_token.attention2.w', 'backbone.tokens_to_token.attention2.directions'),
        ('tokens_to_token.attention1.norm2.bias', 'backbone.tokens_to_token.attention1.ln2.bias'),
        ('blocks.1.norm2.weight', 'backbone.encoder.1.ln2.weight'),
        ('blocks.1.mlp.fc2.bias', 'backbone.encoder.1.ffn.layers.1.bias'),
        ('norm.bias', 'backbone.norm.bias'),
        ('head.weight', 'head.layers.head.weight'),
    ):
        assert torch.equal(weights[ours], average[theirs]), ours
    assert len(weights) == len(average)


def test_weights_of_the_other_form_of_its_module_are_refused(tmp_path):
    """T2T-ViT_t has full attention there: qkv in place of kqv, and no directions."""
    weights = official_weights()
    key = 'tokens_to_token.attention1.kqv.weight'
    weights[key.replace('kqv', 'qkv')] = weights.pop(key)
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(
        ValueError, match=r'1 of \d+ keys .* T2TViTPerformer: tokens_to_token\.att'
    ):
        convert_checkpoint(tmp_path / 'a.pth', tmp_path / 'b.pth', 't2t')


def layer_norm(w, name, x):
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return x * w[f'{name}.weight'] + w[f'{name}.bias']


def linear(w, name, x):
    return x @ w[f'{name}.weight'].T + w.get(f'{name}.bias', 0)


def mlp(w, first, second, x):
    x = linear(w, first, x)
    return linear(w, second, 0.5 * x * (1 + torch.erf(x / math.sqrt(2))))


def soft_split(image, side, stride, padding):
    """Return overlapping patches of a map (C, H, W) by rows: (N, C * side * side), and grid."""
    c, h, w = image.shape
    padded = torch.zeros(c, h + 2 * padding, w + 2 * padding, dtype=image.dtype)
    padded[:, padding : padding + h, padding : padding + w] = image
    rows, cols = (range(0, length + 2 * padding - side + 1, stride) for length in (h, w))
    patches = [padded[:, i : i + side, j : j + side].flatten() for i in rows for j in cols]
    return torch.stack(patches), (len(rows), len(cols))


def token_performer(w, name, x):
    k, q, v = linear(w, f'{name}.kqv', layer_norm(w, f'{name}.norm1', x)).chunk(3, dim=-1)
    m = len(w[f'{name}.w'])
    phi_k, phi_q = (
        torch.exp(t @ w[f'{name}.w'].T - (t * t).sum(-1, keepdim=True) / 2) / math.sqrt(m)
        for t in (k, q)
    )
    similarity = phi_q @ phi_k.T  # the N x N matrix that the performer avoids
    y = similarity @ v / (similarity.sum(-1, keepdim=True) + 1e-8)
    x = v + linear(w, f'{name}.proj', y)
    return x + mlp(w, f'{name}.mlp.0', f'{name}.mlp.2', layer_norm(w, f'{name}.norm2', x))


def block(w, name, x, num_heads):
    width = x.shape[1]
    d = width // num_heads
    qkv = layer_norm(w, f'{name}.norm1', x) @ w[f'{name}.attn.qkv.weight'].T  # (N, 3D)
    heads = []
    for head in range(num_heads):
        q, k, v = (qkv[:, part * width + head * d :][:, :d] for part in range(3))
        heads.append((q @ k.T / math.sqrt(d)).softmax(-1) @ v)
    x = x + linear(w, f'{name}.attn.proj', torch.cat(heads, dim=-1))
    return x + mlp(w, f'{name}.mlp.fc1', f'{name}.mlp.fc2', layer_norm(w, f'{name}.norm2', x))


def reference(w, image, depth, num_heads):
    """Compute T2T-ViT (Yuan et al., section 3): normalised tokens (1 + N, D) and the grid."""
    x, grid = soft_split(image, 7, 4, 2)
    for step in (1, 2):
        x = token_performer(w, f'tokens_to_token.attention{step}', x)
        x, grid = soft_split(x.T.unflatten(1, grid), 3, 2, 1)
    x = linear(w, 'tokens_to_token.project', x)
    x = torch.cat((w['cls_token'][0], x)) + w['pos_embed'][0]
    for i in range(depth):
        x = block(w, f'blocks.{i}', x, num_heads)
    return layer_norm(w, 'norm', x), grid


def overlapping_mean(grid):
    """Compute the mean over windows of 3 x 3 cells, every second cell (released code)."""
    d, h, w = grid.shape
    out = torch.empty(d, (h + 1) // 2, (w + 1) // 2, dtype=grid.dtype)
    for i, j in itertools.product(range(out.shape[1]), range(out.shape[2])):
        window = grid[:, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
        out[:, i, j] = window.flatten(1).mean(1)
    return out


def localization(drloc, grid, pairs):
    """Compute the released loss of one image: mean over pairs and axes of |Δ - prediction|."""
    (first, second, last), errors = [m for m in drloc.modules() if hasattr(m, 'weight')], []
    cols = grid.shape[2]
    for a, b in pairs.tolist():
        (i, j), (p, h) = divmod(a, cols), divmod(b, cols)
        x = torch.cat((grid[:, i, j], grid[:, p, h]))
        for layer in (first, second):
            x = (layer.weight @ x + layer.bias).clamp(min=0)
        du, dv = last.weight @ x + last.bias
        errors += [(abs(i - p) - du).abs(), (abs(j - h) - dv).abs()]
    return sum(errors) / len(errors)


@torch.no_grad()
def test_whole_model_equals_a_slow_reference_on_the_authors_weights(tmp_path):
    """Logits and localization loss of a converted file, against the formulas."""
    depth, num_heads, width, cells = 2, 2, 16, 16
    weights = official_weights(depth, width, cells=cells)
    for name, value in weights.items():
        if value.ndim == 2:
            value *= (3 if 'qkv' in name else 1) / value.shape[1] ** 0.5
    torch.save(weights, tmp_path / 'official.pth')
    convert_checkpoint(tmp_path / 'official.pth', tmp_path / 'ours.pth', 't2t')
    backbone = dict(type='T2TViTPerformer', **{**SMALL, 'img_size': 64, 'out_type': 'raw'})
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=width)
    drloc = dict(preset='official', pool=(3, 2, 1), num_pairs=5, hidden_dims=(8, 8))
    head = dict(type='DRLocHead', head=head, in_channels=width, loss_weight=0.1, **drloc)
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    load_checkpoint(model, str(tmp_path / 'ours.pth'), strict=True)
    model.double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.double)
    pairs = torch.randint(4, (2, 5, 2))
    unweighted = model.head.drloc.unweighted
    model.head.drloc.unweighted = partial(unweighted, pairs=pairs)
    samples = [
        DataSample(metainfo=dict(img_shape=(64, 64))).set_gt_label(label) for label in (1, 7)
    ]
    feats = model.backbone(images)
    losses, scores = model.head.loss(feats, samples), model.head(feats)

    weights = {name: value.double() for name, value in weights.items()}
    expected_scores, expected_loss = [], 0
    for image, image_pairs in zip(images, pairs, strict=True):
        tokens, grid = reference(weights, image, depth, num_heads)
        expected_scores.append(linear(weights, 'head', tokens[0]))
        pooled = overlapping_mean(tokens[1:].T.unflatten(1, grid))
        expected_loss += localization(model.head.drloc, pooled, image_pairs) / 2
    torch.testing.assert_close(scores, torch.stack(expected_scores), atol=1e-9, rtol=1e-9)
    # The loss itself is in float32 by design.
    torch.testing.assert_close(
        losses['loss_drloc'].double(), 0.1 * expected_loss, atol=1e-6, rtol=1e-6
    )
    expected_ce = -torch.stack(expected_scores).log_softmax(-1)[[0, 1], [1, 7]].mean()
    torch.testing.assert_close(losses['loss_cls'], expected_ce, atol=1e-9, rtol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize('of_each_layer', [False, True])
def test_scale_of_the_attention_can_be_set(of_each_layer):
    cfg = dict(num_heads=2, feedforward_channels=32, qk_scale=0.2)
    model = T2TViTPerformer(**{**SMALL, 'layer_cfgs': [cfg, cfg] if of_each_layer else cfg})
    attn, x = model.encoder[1].attn, torch.randn(1, 5, 16)
    q, k, v = attn.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    expected = (0.2 * q @ k.transpose(-2, -1)).softmax(-1) @ v
    torch.testing.assert_close(attn(x), attn.proj(expected.transpose(1, 2).flatten(2)))
