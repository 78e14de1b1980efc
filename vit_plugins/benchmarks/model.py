"""Time ConViT: ours, timm's with equal weights, and a ViT of equal size as the limit."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import nn

from ..models.backbones.convit import ConViT
from .comparison import Comparison
from .module_sides import MODES, compare_modules
from .setting import Setting

# (arch, pixels, batch)
MODEL_SIZES = {
    'toy': (('tiny', 32, 2),),
    'cpu': (('tiny', 224, 8), ('small', 384, 2)),
    'gpu': (('small', 224, 128), ('small', 224, 512)),
    'large': (('base', 224, 128), ('small', 384, 64)),
    'scaling': (
        *(('tiny', pixels, 2) for pixels in (112, 224, 384, 512)),
        *(('tiny', 224, batch) for batch in (1, 4, 16)),
    ),
}
LIMIT = 'a ViT of equal width, depth and number of heads: plain attention by SDPA in all layers'


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {
        _name(arch, pixels, batch, mode): dict(arch=arch, pixels=pixels, batch=batch, mode=mode)
        for arch, pixels, batch in MODEL_SIZES[size]
        for mode in MODES
    }


def _name(arch: str, pixels: int, batch: int, mode: str) -> str:
    return f'ConViT-{arch} {pixels} px, batch {batch}, {mode}'


def build(setting: Setting, *, arch: str, pixels: int, batch: int, mode: str) -> Comparison:
    """Return the whole models without a classifier; the class token is the output.

    Args:
        setting: Device and precision.
        arch: 'tiny', 'small' or 'base'.
        pixels: Height and width of the images.
        batch: Number of images in a call.
        mode: One of ``MODES``.
    """
    config = dict(type='mmpretrain.ConViT', arch=arch, img_size=pixels)
    ours = MODELS.build(config).to(setting.device)
    x = torch.randn(batch, 3, pixels, pixels, device=setting.device)
    modules: dict[str, nn.Module] = {'ours': ours}
    missing, limits = {}, {}
    try:
        import timm
    except ImportError as error:
        missing = dict.fromkeys(('timm', 'vit'), f'{error}')
    else:
        theirs = timm.create_model(f'convit_{arch}', img_size=pixels, num_classes=0)
        ours.load_state_dict(theirs.state_dict())
        width = ConViT.arch_zoo[arch]
        vit = timm.models.VisionTransformer(
            img_size=pixels,
            embed_dim=width['embed_dims'],
            depth=width['num_layers'],
            num_heads=width['num_heads'],
            num_classes=0,
        )
        modules |= {'timm': theirs.to(setting.device), 'vit': vit.to(setting.device)}
        limits = {'vit': LIMIT}
    forwards = {key: (lambda module: module(x)) for key in modules}
    forwards['ours'] = lambda module: module(x)[-1]
    name = _name(arch, pixels, batch, mode)
    return compare_modules(name, modules, forwards, setting, mode, batch, limits, missing)
