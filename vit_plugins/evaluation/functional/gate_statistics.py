"""Compute gates, attention centres and strengths of heads from GPSA's positional part."""

from __future__ import annotations

import torch
from torch import Tensor


def gate_values(gating_param: Tensor) -> Tensor:
    """Return the gates g = σ(λ), the share of position in each head; 0 means content alone.

    Args:
        gating_param: λ, of any shape.
    """
    return gating_param.detach().to(torch.float32).sigmoid()


def centres_and_strengths(pos_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the centre and the strength of each head's positional attention.

    Completing the square, w0 dx + w1 dy + w2 (dx² + dy²) = -α ‖δ - Δ‖² + constant with the
    strength α = -w2 and the centre Δ = (w0, w1) / (2 α). ConViT's official log writes ‖Δ‖.

    Args:
        pos_weight: Rows (w0, w1, w2) of ``pos_proj``, shape (h, 3).

    Returns:
        Centres (h, 2) as (x, y) in patches, and strengths (h,). If the strength is not positive,
        attention grows away from the query and has no centre, which is then NaN.

    >>> centres_and_strengths(torch.tensor([[1.0, -1.0, -1.0]]))
    (tensor([[ 0.5000, -0.5000]]), tensor([1.]))
    """
    weight = pos_weight.detach().to(torch.promote_types(pos_weight.dtype, torch.float32))
    strengths = -weight[:, 2]
    centres = weight[:, :2] / (2 * strengths[:, None])
    return centres.masked_fill(strengths[:, None] <= 0, float('nan')), strengths
