"""GPSA for inference, without the branches that its gates have closed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .gpsa import GPSA
from .positional_attention import apply_factors, positional_factors


class PrunedGPSA(nn.Module):
    """GPSA for inference, whose heads compute only the branches that their gates leave open.

    A head whose gate is at most ``threshold`` attends by content alone; one whose gate is at least
    1 - ``threshold`` attends by position alone, so it needs neither query nor key. Where gates are
    0 and 1, the output equals that of the layer itself. Otherwise a row of the attention changes
    by 2 ``threshold`` at most, and the output of a head by that times its largest value.

    Heads are sorted by what they compute, and so are the rows and columns of the weights, so that
    no output has to be moved. The weights are copies.

    Args:
        gpsa: The trained layer.
        threshold: The distance to 0 or 1 up to which a gate counts as closed, at least 0 and below
            0.5.

    Raises:
        ValueError: If the layer has no gates, or the threshold is out of range.
    """

    def __init__(self, gpsa: GPSA, threshold: float) -> None:
        super().__init__()
        if not 0 <= threshold < 0.5:
            raise ValueError(f'threshold must be at least 0 and below 0.5, got {threshold}')
        if gpsa.mode != 'gpsa':
            raise ValueError(
                f"mode={gpsa.mode!r} mixes content and position without a gate: only 'gpsa' can "
                'be pruned'
            )
        gates = gpsa.gates().detach()
        content, position = gates <= threshold, gates >= 1 - threshold
        kinds = torch.where(content, 0, torch.where(position, 2, 1))
        order = kinds.argsort(stable=True)  # content, both, position
        self.num_heads = gpsa.num_heads
        self.num_content, self.num_both, self.num_position = (
            int((kinds == kind).sum()) for kind in range(3)
        )
        rows = torch.arange(gpsa.embed_dims, device=order.device).view(gpsa.num_heads, -1)[order]
        asking = rows[: self.num_content + self.num_both].flatten()  # with queries and keys
        width = gpsa.embed_dims
        with torch.no_grad():
            self.qk = None
            if len(asking):
                self.qk = _chosen_rows(gpsa.qk, torch.cat((asking, width + asking)))
            self.v = _chosen_rows(gpsa.v, rows.flatten())
            self.proj = nn.Linear(width, width, device=order.device, dtype=gpsa.proj.weight.dtype)
            self.proj.weight.copy_(gpsa.proj.weight[:, rows.flatten()])
            self.proj.bias.copy_(gpsa.proj.bias)
        looking = order[self.num_content :]  # heads that attend by position
        shares = torch.where(position, 1.0, gates)[looking]
        self.register_buffer('pos_weight', gpsa.positional_weight().detach()[looking].clone())
        self.register_buffer('shares', shares)
        self.requires_grad_(False)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Compute the attention output.

        Args:
            x: Patch tokens in row-major order, shape (B, N, D).
            hw_shape: Their grid (H, W).

        Returns:
            Shape (B, N, D).
        """
        v = self.v(x).unflatten(2, (self.num_heads, -1))  # (B, N, h, d)
        asking = self.num_content + self.num_both
        out = []
        if self.qk is not None:
            q, k = self.qk(x).unflatten(2, (2, asking, -1)).unbind(2)  # (B, N, asking, d)
            parts = (t.transpose(1, 2) for t in (q, k, v[:, :, :asking]))
            out.append(F.scaled_dot_product_attention(*parts).transpose(1, 2))
        if self.num_both + self.num_position:
            p_y, p_x = positional_factors(self.pos_weight, hw_shape)
            gated = self.shares[:, None, None] * p_y
            by_position = apply_factors(v[:, :, self.num_content :], gated, p_x)
            if self.num_both:
                both = out[0][:, :, self.num_content :]
                kept = (1 - self.shares[: self.num_both]).to(v.dtype)[:, None]
                both = both * kept + by_position[:, :, : self.num_both]
                out = [out[0][:, :, : self.num_content], both]
            out.append(by_position[:, :, self.num_both :])
        return self.proj(torch.cat(out, dim=2).flatten(2))  # (B, N, h, d) -> (B, N, D)

    def extra_repr(self) -> str:
        """Return the numbers of heads by what they compute."""
        return f'content={self.num_content}, both={self.num_both}, position={self.num_position}'


def _chosen_rows(linear: nn.Linear, rows: Tensor) -> nn.Linear:
    """Return a linear layer with some outputs of another layer, in a new order."""
    weight = linear.weight
    settings = dict(bias=linear.bias is not None, device=weight.device, dtype=weight.dtype)
    chosen = nn.Linear(weight.shape[1], len(rows), **settings)
    chosen.weight.copy_(weight[rows])
    if linear.bias is not None:
        chosen.bias.copy_(linear.bias[rows])
    return chosen
