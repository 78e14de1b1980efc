"""Read the attention of each type of module from the inputs of the module.

None of the modules returns its attention. Each reader calls the module's own parts, so the maps
are those that the module computes with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmpretrain.models.utils import MultiheadAttention, ShiftWindowMSA
from torch import Tensor, nn
from torch.nn import functional as F

from ..backbones.cvt_stage import CvTBlock
from ..layers.gpsa import GPSA

Grid = tuple[int, int]


class Read(NamedTuple):
    """Attention (B, h, E + N, E + M), the grid of its queries and that of its keys."""

    values: Tensor
    grid: Grid
    key_grid: Grid | None = None
    key_step: int = 1


def read_gpsa(module: GPSA, x: Tensor, hw_shape: Grid, grid: Grid | None = None) -> Read:
    """Read GPSA, whose tokens are only patches.

    Args:
        module: The module.
        x: Tokens (B, N, D).
        hw_shape: Their grid.
        grid: Not needed.
    """
    return Read(module.get_attention_map(x, hw_shape), tuple(hw_shape))


def read_plain(
    module: MultiheadAttention, x: Tensor, *args: Any, grid: Grid | None
) -> Read | None:
    """Read the host's attention: if the values are one-hot, the output is the attention itself.

    Args:
        module: The module.
        x: Tokens (B, E + N, D).
        *args: Not needed.
        grid: The grid of the N patches; None before the patches are embedded.
    """
    if grid is None:
        return None  # within the embedding of the host's T2T-ViT
    qkv = module.qkv(x).unflatten(2, (3, module.num_heads, -1))  # (B, L, 3, h, d)
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)  # (B, h, L, d) each
    one_hot = torch.eye(x.shape[1], dtype=q.dtype, device=q.device).expand(*q.shape[:2], -1, -1)
    values = module.scaled_dot_product_attention(q, k, one_hot, dropout_p=0.0)
    return Read(values, grid)


def read_conv(block: CvTBlock, x: Tensor, hw_shape: Grid, grid: Grid | None = None) -> Read:
    """Read CvT's attention, whose keys are on a coarser grid.

    Args:
        block: The block, because its attention never runs as a module.
        x: Tokens (B, E + N, D).
        hw_shape: Their grid.
        grid: Not needed.
    """
    q, k, _ = block.attn.project(block.norm1(x), hw_shape)  # (B, h, E + N, d), (B, h, E + M, d)
    values = (q @ k.transpose(-2, -1) * block.attn.scale).softmax(-1)
    step = block.attn.kv_stride
    key_grid = tuple(-(-side // step) for side in hw_shape)
    return Read(values, tuple(hw_shape), key_grid, step)


def read_windows(
    module: ShiftWindowMSA, query: Tensor, hw_shape: Grid, grid: Grid | None = None
) -> Read:
    """Read Swin's attention as maps over the whole grid, 0 outside a patch's window.

    Attention to the padding of a grid is left out.

    Args:
        module: The module.
        query: Tokens (B, N, D).
        hw_shape: Their grid.
        grid: Not needed.
    """
    captured: list[Tensor] = []
    handle = module.w_msa.softmax.register_forward_hook(lambda *call: captured.append(call[2]))
    try:
        module.forward(query, hw_shape)  # forward does not run the hooks of the module itself
    finally:
        handle.remove()
    places = window_places(module, hw_shape).to(query.device)  # (windows, T), 0 in the padding
    windows, size = places.shape
    within = captured[0].unflatten(0, (-1, windows))  # (B, windows, h, T, T)
    number = hw_shape[0] * hw_shape[1]
    full = within.new_zeros(within.shape[0], within.shape[2], number + 1, number + 1)
    for window, place in enumerate(places):
        rows = place[:, None].expand(-1, size)
        full[:, :, rows, place] = within[:, window]
    full = full[:, :, 1:, 1:]
    return Read(full / full.sum(-1, keepdim=True).clamp(min=1e-30), tuple(hw_shape))


def window_places(module: ShiftWindowMSA, hw_shape: Grid) -> Tensor:
    """Return the patches in each window, in the order of the window's tokens.

    Args:
        module: The module.
        hw_shape: The grid of the patches.

    Returns:
        Shape (windows, T): 1 + the number of a patch, 0 in the padding.
    """
    size, shift = module.window_size, module.shift_size
    if min(hw_shape) == size and not module.pad_small_map:
        shift = 0  # the host does not shift a single window
    below, right = (-side % size for side in hw_shape)
    places = torch.arange(1, hw_shape[0] * hw_shape[1] + 1).view(hw_shape)
    places = F.pad(places, (0, right, 0, below)).roll((-shift, -shift), (0, 1))
    return module.window_partition(places[None, :, :, None], size).flatten(1)


# Subclasses count as their base classes.
READERS: dict[type[nn.Module], Callable[..., Read | None]] = {
    GPSA: read_gpsa,
    MultiheadAttention: read_plain,
    CvTBlock: read_conv,
    ShiftWindowMSA: read_windows,
}


def read_on_tokens(module: nn.Module) -> bool:
    """Return whether a module attends among all tokens, of any type.

    Args:
        module: One of ``READERS``.
    """
    return isinstance(module, GPSA | MultiheadAttention)
