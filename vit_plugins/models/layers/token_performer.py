"""The layer of T2T-ViT's tokens-to-token module, with a cost linear in the number of tokens."""

from math import inf

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn


def positive_features(x: Tensor, weight: Tensor) -> Tensor:
    """Map x to non-negative features whose product estimates exp(x · y).

    Performer (`Choromanski et al. <https://arxiv.org/abs/2009.14794>`_), Lemma 1: the mean over w
    of exp(w · x - |x|² / 2) exp(w · y - |y|² / 2) is exp(x · y).

    Args:
        x: Shape (..., N, D).
        weight: Random directions w, shape (M, D).

    Returns:
        Shape (..., N, M).
    """
    half_norm = x.square().sum(dim=-1, keepdim=True) / 2
    return torch.exp(x @ weight.t() - half_norm) / len(weight) ** 0.5


def performer_attention(q: Tensor, k: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """Estimate softmax(q kᵀ) v without an N x N matrix; no scale, as in T2T-ViT.

    Args:
        q: Queries, shape (B, N, D).
        k: Keys, of the same shape.
        v: Values, of the same shape.
        weight: Random directions, shape (M, D).
    """
    q, k = positive_features(q, weight), positive_features(k, weight)  # (B, N, M)
    total = q @ k.sum(dim=1).unsqueeze(-1)  # (B, N, 1)
    return q @ (k.transpose(1, 2) @ v) / (total + 1e-8)  # T2T-ViT's guard against an empty sum


class TokenPerformer(BaseModule):
    """Attention with a shortcut around the values, then a small MLP.

    It replaces the host's T2TTransformerLayer, whose cost grows with the square of the
    3,136 tokens of a 224 px image. Random directions are sampled once and kept in checkpoints.

    Args:
        input_dims: Width of the input tokens.
        embed_dims: Width of the output tokens.
        kernel_ratio: Number of random directions for each of ``embed_dims``.
        drop_rate: Dropout rate of the projection and of the MLP.
    """

    def __init__(
        self,
        input_dims: int,
        embed_dims: int = 64,
        kernel_ratio: float = 0.5,
        drop_rate: float = 0.1,
    ):
        super().__init__()
        num_directions = int(embed_dims * kernel_ratio) if 0 < kernel_ratio < inf else 0
        if num_directions < 1:
            raise ValueError(
                f'kernel_ratio ({kernel_ratio}) of {embed_dims} channels leaves no direction.'
            )
        self.ln1 = nn.LayerNorm(input_dims)
        self.kqv = nn.Linear(input_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.drop = nn.Dropout(drop_rate)
        self.ln2 = nn.LayerNorm(embed_dims)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, embed_dims),
            nn.GELU(),
            nn.Linear(embed_dims, embed_dims),
            nn.Dropout(drop_rate),
        )
        directions = nn.init.orthogonal_(torch.empty(num_directions, embed_dims))
        self.register_buffer('directions', directions * num_directions**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, input_dims) to (B, N, embed_dims)."""
        k, q, v = self.kqv(self.ln1(x)).chunk(3, dim=-1)
        with torch.autocast(x.device.type, enabled=False):  # its exp overflows in half precision
            wide = torch.promote_types(v.dtype, torch.float32)
            directions = self.directions.to(wide)
            y = performer_attention(q.to(wide), k.to(wide), v.to(wide), directions)
        x = v + self.drop(self.proj(y.to(v.dtype)))
        return x + self.mlp(self.ln2(x))
