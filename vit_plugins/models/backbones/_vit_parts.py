"""Functions that the constructors of the backbones share."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from mmcv.cnn.bricks.transformer import AdaptivePadding, PatchEmbed
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.registry import MODELS
from torch import nn

from ..layers.free_size import FreeSizePadding, WholePatchCheck

ARCH_KEYS = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')


def vit_arch(embed_dims: int, num_layers: int, num_heads: int, **more: int) -> dict[str, int]:
    """Return the settings of a ViT, whose FFN is four times as wide as its tokens.

    Args:
        embed_dims: Width of the tokens.
        num_layers: Number of layers.
        num_heads: Number of heads.
        **more: Further settings.
    """
    sizes = dict(embed_dims=embed_dims, num_layers=num_layers, num_heads=num_heads)
    return {**sizes, 'feedforward_channels': 4 * embed_dims, **more}


def arch_settings(arch: str | dict, zoo: Mapping[str, dict]) -> dict:
    """Return the settings of an architecture.

    Args:
        arch: A name, in any case, or the settings themselves.
        zoo: The settings of each name.

    Raises:
        ValueError: If the name is unknown, or the settings are incomplete, unknown or
            contradictory.
    """
    if isinstance(arch, str):
        if arch.lower() not in zoo:
            raise ValueError(f'arch {arch!r} is none of {", ".join(zoo)}.')
        arch = zoo[arch.lower()]
    check_arch_keys(arch, ARCH_KEYS, set().union(*zoo.values()))
    dims, heads = arch['embed_dims'], arch['num_heads']
    if dims % heads:
        raise ValueError(f'embed_dims ({dims}) must be a multiple of num_heads ({heads}).')
    return arch


def check_arch_keys(arch: dict, needed: Iterable[str], known: Iterable[str]) -> None:
    """Check the names of the settings of an architecture.

    Args:
        arch: The settings.
        needed: Names of those that it must have.
        known: Names of all that it may have.

    Raises:
        ValueError: If it lacks one, or has one that nothing reads.
    """
    if missing := set(needed) - arch.keys():
        raise ValueError(f'The arch dict lacks {", ".join(sorted(missing))}.')
    if unknown := arch.keys() - set(known):
        raise ValueError(
            f'The arch dict has {", ".join(sorted(unknown))}, which nothing reads: it may have '
            f'{", ".join(sorted(known))}. Other settings are arguments of the backbone itself.'
        )


def build_patch_embed(patch_cfg: dict | None, plain: dict | None = None, **settings) -> nn.Module:
    """Build the patch embedding of a backbone: mmcv's, or the one that ``type`` names.

    Every embedding has ``init_out_size``, the rows and columns of its usual grid, and maps images
    (B, C, H, W) to tokens (B, N, D) and their grid.

    Args:
        patch_cfg: Its arguments, which override the backbone's own settings.
        plain: Settings only for mmcv's embedding.
        **settings: Settings for every embedding: ``in_channels``, ``embed_dims``,
            ``kernel_size`` and ``stride`` (of a patch, in pixels), ``input_size``.
    """
    patch_cfg = patch_cfg or {}
    if 'type' not in patch_cfg:
        patch_cfg = {'type': PatchEmbed, **(plain or {}), **patch_cfg}
    return free_size(MODELS.build({**settings, **patch_cfg}))


def free_size(embed: nn.Module) -> nn.Module:
    """Return a patch embedding whose padding leaves the size of an exported program free.

    Without padding, an image smaller than a patch is refused in words.

    Args:
        embed: The embedding of mmcv, or a similar one; others are returned unchanged.
    """
    pad = getattr(embed, 'adaptive_padding', None)
    if type(pad) is AdaptivePadding:
        settings = pad.kernel_size, pad.stride, pad.dilation, pad.padding
        embed.adaptive_padding = FreeSizePadding(*settings)
    elif pad is None and isinstance(embed, PatchEmbed):
        embed.adaptive_padding = WholePatchCheck(embed.projection)
    return embed


def truncated_normal_init() -> list[dict]:
    """Return the initialisation of DeiT and ConViT: truncated normal weights with std 0.02."""
    return [
        dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ]


def normal_parameter(*shape: int) -> nn.Parameter:
    """Return a parameter of truncated normal values with std 0.02.

    A backbone calls this in its constructor and not in ``init_weights``: an ``init_cfg`` cannot
    reach a bare parameter, and ``init_weights`` may run after a checkpoint has set it.

    Args:
        *shape: Its shape.
    """
    return nn.Parameter(trunc_normal_(torch.empty(shape), std=0.02))


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Return the stochastic depth rate of each layer, which grows linearly from 0.

    Args:
        last: Rate of the last layer.
        depth: Number of layers.
    """
    return [last * i / max(depth - 1, 1) for i in range(depth)]


def use_plain_rates(model: nn.Module) -> None:
    """Replace the stochastic depth rates that the host keeps as numpy's floats.

    ``torch.compile`` reads those as tensors, and ``if drop_prob == 0`` breaks its graph.

    Args:
        model: A module that contains layers of the host; changed in place.
    """
    for module in model.modules():
        if isinstance(getattr(module, 'drop_prob', None), np.floating):
            module.drop_prob = float(module.drop_prob)
