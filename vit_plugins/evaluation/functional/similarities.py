"""Multiply vectors in float32, so that equal vectors have equal products to the last bit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .vectors import full_precision

TILE_ROWS, TILE_COLUMNS = 256, 2048  # 2 MiB: copied while it is in the cache of a core


def similarities(rows: Tensor, columns: Tensor, out: Tensor | None = None) -> Tensor:
    """Compute the dot products of all rows with all columns, without gradient or autocast.

    In float32 on a CPU, equal vectors get equal products wherever they stand, so that ties are
    ties. BLAS does not promise this: MKL adds up the last columns of a matrix in another order
    than the others. So the products come from oneDNN, which adds up all in one order, and uses
    AVX-512 on the processors of every maker, where the MKL of torch uses it on those of Intel
    alone. Other types and devices, and a torch without oneDNN, take ``torch.mm``.

    Args:
        rows: Shape (n, D).
        columns: Shape (m, D), of the same type.
        out: Where to write, of shape (n, m); None makes it.

    Returns:
        Tensor: Of shape (n, m).

    Example:
        >>> similarities(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[11.,  2.]])
    """
    with full_precision(rows.device):
        if out is None:
            out = rows.new_empty(len(rows), len(columns))
        if not _multiplied_by_onednn(rows, columns):
            return torch.mm(rows, columns.T, out=out)
        for part in _tiles(len(rows), TILE_ROWS):
            left = rows[part].contiguous().to_mkldnn()
            for tile in _tiles(len(columns), TILE_COLUMNS):
                out[part, tile] = F.linear(left, columns[tile].contiguous()).to_dense()
        return out


def _tiles(length: int, most: int) -> list[slice]:
    """Cut into parts of equal size: another size may be added up in another order."""
    size = min(most, length)
    starts = (min(start, length - size) for start in range(0, length, size))  # the last overlaps
    return [slice(start, start + size) for start in starts]


def _multiplied_by_onednn(rows: Tensor, columns: Tensor) -> bool:
    if rows.device.type != 'cpu' or not torch.backends.mkldnn.is_available():
        return False
    return rows.dtype == torch.float32 and rows.numel() > 0 and columns.numel() > 0
