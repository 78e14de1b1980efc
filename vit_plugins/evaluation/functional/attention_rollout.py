"""Attention through all layers: which patches of the image a token is made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """Compute the attention rollout of Abnar & Zuidema (arXiv 2005.00928), as ViT's Fig. 6.

    R = Â_L ⋯ Â_1, where Â = (I + mean over the heads of A) / 2 stands for a layer and the shortcut
    around it. In a layer where tokens join in front of the patches, as ConViT's class token does,
    they are made of themselves alone so far.

    Args:
        attentions: Of each layer from the first on, rows that sum to 1, shape (B, h, N, N); N may
            grow from one layer to the next.

    Returns:
        Shape (B, N, N) with the last N; rows sum to 1.

    Raises:
        ValueError: If there is no layer, or one has another number of keys than of queries or
            fewer tokens than the one before.
    """
    if not attentions:
        raise ValueError('a rollout needs the attention of one layer at least')
    result = None
    for number, attention in enumerate(attentions):
        queries, keys = attention.shape[-2:]
        if queries != keys or (result is not None and queries < result.shape[-1]):
            raise ValueError(
                f'layer {number} attends from {queries} to {keys} tokens: a rollout is for layers '
                'that keep their tokens; of pyramids (Swin, CvT) take single maps'
            )
        mean = attention.to(torch.promote_types(attention.dtype, torch.float32)).mean(1)
        eye = torch.eye(queries, dtype=mean.dtype, device=mean.device)
        layer = (mean + eye) / 2  # (B, N, N)
        result = layer if result is None else layer @ with_tokens_in_front(result, queries)
    return result


def with_tokens_in_front(matrix: Tensor, number: int) -> Tensor:
    """Enlarge a square matrix by tokens in front that are made of themselves alone.

    Args:
        matrix: Shape (B, N, N).
        number: Tokens to have.
    """
    if (more := number - matrix.shape[-1]) == 0:
        return matrix
    full = torch.eye(number, dtype=matrix.dtype, device=matrix.device)
    full = full.repeat(matrix.shape[0], 1, 1)
    full[:, more:, more:] = matrix
    return full
