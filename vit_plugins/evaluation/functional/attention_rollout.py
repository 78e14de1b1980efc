"""Compute attention through all layers: how much each patch contributes to a token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """Compute the attention rollout of Abnar & Zuidema (arXiv 2005.00928), as in ViT's Fig. 6.

    R = Â_L ⋯ Â_1, where Â = (I + mean over the heads of A) / 2 stands for a layer and the shortcut
    around it. If tokens join before the patches in a layer, as ConViT's class token does, they
    contain only themselves up to that layer.

    Args:
        attentions: Attention of each layer from the first on, rows that sum to 1, shape
            (B, h, N, N); N may grow from one layer to the next.

    Returns:
        Shape (B, N, N) with the last N; rows sum to 1.

    Raises:
        ValueError: If there is no layer, or a layer has different numbers of keys and queries, or
            fewer tokens than the layer before.
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
    """Enlarge a square matrix by first tokens that contain only themselves.

    Args:
        matrix: Shape (B, N, N).
        number: The number of tokens of the result.
    """
    if (more := number - matrix.shape[-1]) == 0:
        return matrix
    full = torch.eye(number, dtype=matrix.dtype, device=matrix.device)
    full = full.repeat(matrix.shape[0], 1, 1)
    full[:, more:, more:] = matrix
    return full
