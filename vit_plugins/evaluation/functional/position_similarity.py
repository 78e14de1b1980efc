"""Compute how similar the position embeddings of patches are."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def position_similarity(pos_embed: Tensor, hw_shape: tuple[int, int]) -> Tensor:
    """Compute the cosine similarity of each patch's position embedding to all others.

    As in the middle of Fig. 7 of ViT (arXiv 2010.11929).

    Args:
        pos_embed: Embeddings of the patches alone, shape (N, D).
        hw_shape: Their grid (H, W).

    Returns:
        Shape (H, W, H, W): for each patch (row, column), its map over the grid.

    Raises:
        ValueError: If the grid has another number of patches.
    """
    if len(pos_embed) != hw_shape[0] * hw_shape[1]:
        raise ValueError(
            f'{len(pos_embed)} position embeddings are not a grid of {hw_shape[0]} x '
            f'{hw_shape[1]}: leave out those of class tokens'
        )
    unit = F.normalize(pos_embed.detach().float(), dim=1)
    return (unit @ unit.T).unflatten(1, tuple(hw_shape)).unflatten(0, tuple(hw_shape))
