"""Read the embedding of a backbone: the position embeddings and the filters of the patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention_maps import NothingToReadError


def position_embeddings(model: nn.Module) -> tuple[Tensor, tuple[int, int]]:
    """Return the learnt position embeddings of the patches.

    Args:
        model: A classifier, a retriever or a backbone.

    Returns:
        Embeddings (N, D), without those of class tokens, and their grid (H, W).

    Raises:
        NothingToReadError: If the backbone has none.
    """
    backbone = getattr(model, 'backbone', model)
    grid = getattr(backbone, 'patch_resolution', None)
    if getattr(backbone, 'pos_embed_rows', None) is not None:  # PosEmbedViT with pos_embed='2d'
        with torch.no_grad():
            return backbone.grid_positions(*grid)[0], tuple(grid)
    embed = getattr(backbone, 'pos_embed', None)
    if embed is None:
        embed = getattr(backbone, 'absolute_pos_embed', None)
    if not isinstance(embed, Tensor) or grid is None:
        raise NothingToReadError(
            f'this {type(backbone).__name__} has no learnt position embedding: ConViT, ViT, DeiT '
            'and DeiT III, hybrid ViT and T2T-ViT have, unless a setting leaves it out'
        )
    number = grid[0] * grid[1]
    return embed.detach()[0, -number:], tuple(grid)  # extra tokens come before the patches


def patch_filters(model: nn.Module) -> tuple[str, Tensor]:
    """Return the first filters that read the pixels of an image.

    Args:
        model: A classifier, a retriever or a backbone.

    Returns:
        The name of the convolution within the backbone and its weight (D, C, kh, kw).

    Raises:
        NothingToReadError: If the backbone does not begin with a convolution of 1 or 3 channels.
    """
    backbone = getattr(model, 'backbone', model)
    convs = [(name, m) for name, m in backbone.named_modules() if isinstance(m, nn.Conv2d)]
    # a hybrid has the patches of its map before the stem that reads the pixels
    found = [pair for pair in convs if pair[1].in_channels in (1, 3) and pair[1].groups == 1]
    if not found:
        raise NothingToReadError(
            f'{type(backbone).__name__} does not embed pixels by a convolution: ConViT, ViT, DeiT '
            'and DeiT III, hybrid ViT, Swin, CvT and ResNet do'
        )
    name, conv = found[0]
    return name, conv.weight.detach()
