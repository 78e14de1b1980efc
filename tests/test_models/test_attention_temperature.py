"""Guard: each attention of our backbones, and of the host's in our recipes, has the scale
of its definition.

The outputs of a layer's query, key and value projections and the input of its output projection
are recorded in a forward pass, and softmax(scale * q kᵀ + mask) v is formed from the first by the
definition. A backbone or an attention layer that this file does not know makes it fail.
"""

import re
from pathlib import Path

import pytest
import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import nn

ROOT = Path(__file__).parents[2]
ARCH = dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=32)
VIT = dict(img_size=16, patch_size=8, arch=ARCH)
CVT = dict(arch=dict(embed_dims=(8, 16, 32), num_heads=(1, 2, 4), depths=(1, 1, 1)))
T2T = dict(
    img_size=32,
    embed_dims=32,
    num_layers=2,
    layer_cfgs=dict(num_heads=4, feedforward_channels=32),
)
RESNET = dict(depth=18, base_channels=4, stem_channels=4)


def head_width(num_channels, num_heads):
    """Return the inverse root of a head's width (Vaswani et al., Eq. 1)."""
    return (num_channels / num_heads) ** -0.5


def full_width(num_channels, num_heads):
    """Return the inverse root of all channels, as in the released CvT."""
    return num_channels**-0.5


def learnt(num_channels, num_heads):
    """Return a parameter of each head, which replaces the scale (XCiT, Eq. 2)."""
    raise AssertionError('asked for by attention that is none over channels')


# Backbone to smallest arguments and scale; the scale is None where there is no attention.
BACKBONES = {
    'ConViT': (VIT | dict(num_local_layers=1), head_width),
    'CvT': (CVT, full_width),
    'CvT gap': (CVT | dict(style='gap'), head_width),
    'DeiT3ViT': (VIT, head_width),
    'DistilledVisionTransformer': (VIT, head_width),
    'EdgeNeXt': (
        dict(
            arch=dict(
                channels=[8, 8, 16, 16],
                depths=[1, 2, 2, 2],
                num_heads=[2, 2, 2, 2],
            ),
        ),
        learnt,
    ),
    'HybridViT': (dict(stem=(1,), img_size=16, arch=ARCH), head_width),
    'PosEmbedViT': (VIT, head_width),
    'ResNet': (RESNET, None),
    'ResNet_CIFAR': (RESNET, None),
    'SwinTransformer': (
        dict(
            arch=dict(embed_dims=8, depths=[2, 2], num_heads=[1, 2]),
            img_size=16,
            window_size=2,
            out_indices=(1,),
        ),
        head_width,
    ),
    'T2TViTPerformer': (T2T | dict(token_dims=8), head_width),
    'VisionTransformer': (VIT, head_width),
}


def mixed_by_softmax(q, k, v, scale, mask):
    logits = scale * q @ k.transpose(-2, -1)
    if mask is not None:  # one for each window (W, N, N); windows run fastest
        logits = logits + mask.repeat(len(logits) // len(mask), 1, 1)[:, None]
    return logits.softmax(-1) @ v


def mixed_by_performer(q, k, v, scale, directions):
    """Compute Eq. 5 of Choromanski et al.: exp(scale * q kᵀ) is estimated along directions."""
    phi_q, phi_k = (
        torch.exp(t @ directions.T - t.square().sum(-1, keepdim=True) / 2) for t in (scale * q, k)
    )
    weights = phi_q @ phi_k.transpose(-2, -1) / len(directions)
    return weights / (weights.sum(-1, keepdim=True) + 1e-8) @ v  # T2T-ViT's guard


def mixed_by_channels(q, k, v, scale):
    """Compute Eq. 2 of El-Nouby et al.: softmax over a head's channels of unit length."""
    q, k, v = (part.mT for part in (q, k, v))  # (B, h, d, N)
    q, k = (part / part.norm(dim=-1, keepdim=True) for part in (q, k))
    return ((scale * q @ k.mT).softmax(-1) @ v).mT


# Attention layer to the children that make its queries, keys and values, in their order.
PROJECTIONS = {
    'ChannelMultiheadAttention': ('qkv',),
    'ConvAttention': ('proj_q', 'proj_k', 'proj_v'),
    'GPSA': ('qk', 'v'),
    'MultiheadAttention': ('qkv',),
    'TokenPerformer': ('kqv',),
    'WindowMSA': ('qkv',),
}
ASKS = re.compile(r'(in_|to_|proj_|w_?)?(q|qk|qkv|kqv|query)(_?proj)?')


def attention_layers(model):
    """Return the modules that project queries, whatever their names."""
    for name, module in model.named_modules():
        children = [child for child, _ in module.named_children()]
        if isinstance(module, nn.MultiheadAttention) or any(map(ASKS.fullmatch, children)):
            yield name, module


def sharpen(layer):
    """Sample weights that make attention depend on its scale; do not change the content."""
    for name in PROJECTIONS[type(layer).__name__]:
        linear = layer.get_submodule(name)
        nn.init.normal_(linear.weight, std=1.2 * linear.in_features**-0.5)
    with torch.no_grad():
        if hasattr(layer, 'gating_param'):
            layer.gating_param.fill_(-100)  # all content, no position
        if type(layer).__name__ == 'ChannelMultiheadAttention':
            layer.scale.fill_(3)
        if hasattr(layer, 'relative_position_bias_table'):
            layer.relative_position_bias_table.zero_()


def record(layer, seen):
    for name in PROJECTIONS[type(layer).__name__]:
        layer.get_submodule(name).register_forward_hook(
            lambda m, x, y, n=name: seen.update({n: y})
        )
    layer.proj.register_forward_hook(lambda m, x, y: seen.update(mixed=x[0]))
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: seen.update(mask=kwargs.get('mask')), with_kwargs=True
    )


def defined(layer, seen, scale, factor=1.0):
    """Compute the input of the output projection by definition, with scale times ``factor``."""
    name = type(layer).__name__
    if name == 'TokenPerformer':
        k, q, v = seen['kqv'].chunk(3, dim=-1)
        return mixed_by_performer(q, k, v, factor, layer.directions)  # no scale, as in T2T-ViT
    parts = [part for child in PROJECTIONS[name] for part in split(seen[child], child)]
    q, k, v = (part.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for part in parts)
    if name == 'ChannelMultiheadAttention':
        return mixed_by_channels(q, k, v, factor * layer.scale).transpose(1, 2).flatten(2)
    scale = factor * scale(layer.proj.in_features, layer.num_heads)
    return mixed_by_softmax(q, k, v, scale, seen.get('mask')).transpose(1, 2).flatten(2)


def split(projected, child):
    return projected.chunk({'qkv': 3, 'qk': 2}.get(child, 1), dim=-1)


def check(name, settings, scale):
    """Compare each attention layer of a backbone with the definition; return their number."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type=name.split()[0], **settings)).double()
    model.eval()  # of the host's, returns None
    for module in model.modules():
        if type(module).__name__ == 'PositionEncodingFourier':  # computes in 32 bits
            module.proj.register_forward_pre_hook(lambda m, args: (args[0].double(),))
    layers, seen = dict(attention_layers(model)), {}
    for path, layer in layers.items():
        kind = type(layer).__name__
        assert kind in PROJECTIONS, f'say in PROJECTIONS how {kind} ({path}) projects'
        sharpen(layer)
        record(layer, seen.setdefault(path, {}))
    with torch.no_grad():
        model(torch.randn(2, 3, 64, 64, dtype=torch.double))
    for path, layer in layers.items():
        mixed = seen[path]['mixed']
        torch.testing.assert_close(mixed, defined(layer, seen[path], scale), atol=1e-9, rtol=1e-9)
        # The check has to see the temperature, that is a factor of a head's width.
        other = defined(layer, seen[path], scale, factor=4.0)
        assert (mixed - other).abs().max() > 0.05
    return len(layers)


def used_by_recipes():
    """Return the names of the host's backbones in our configs, Python or YAML."""
    words = set()
    for path in (ROOT / 'configs').rglob('*'):
        if path.suffix in ('.py', '.yaml', '.yml'):
            words |= set(
                re.findall(r"""type['"]?\s*[=:]\s*['"]?(?:mmpretrain\.)?(\w+)""", path.read_text())
            )
    return {word for word in words if is_backbone(MODELS.get(word))}


def is_backbone(cls):
    """Return whether a class is a backbone; stems are not, and have no attention."""
    module = getattr(cls, '__module__', '')
    return '.backbones.' in module and issubclass(cls, BaseBackbone)


def test_every_backbone_is_known():
    ours = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith('vit_plugins') and is_backbone(cls)
    }
    known = {name.split()[0] for name in BACKBONES}
    assert known == ours | used_by_recipes(), 'give its arguments and scale in BACKBONES'
    assert {'ResNet', 'SwinTransformer', 'VisionTransformer'} <= used_by_recipes()


@pytest.mark.parametrize('name', BACKBONES)
def test_temperature_of_the_attention(name):
    settings, scale = BACKBONES[name]
    assert (check(name, settings, scale) == 0) == (scale is None)


def test_the_hosts_t2t_vit_attends_too_sharply():
    """The error that configs/drloc/README.md describes; this shows that the guard finds it."""
    with pytest.raises(AssertionError, match='not close'):
        check('T2T_ViT', T2T | dict(t2t_cfg=dict(token_dims=8)), head_width)
