"""Count how many similarities lie above some bounds: the inner loop of exact ranking."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

FITS_A_BYTE = 255  # so many ones are added up as bytes, the fastest way
TILE = 1 << 18  # entries that stay in a core's cache while all bounds are compared with them


def add_counts_above(
    s: Tensor, bounds: Tensor, strict: np.ndarray, loose: np.ndarray, dim: int
) -> None:
    """Add to each bound how many entries of its row or column are larger, or at least as large.

    On a CPU with numpy: its comparisons and its sums of bytes take a fraction of the time of
    torch's, and counting would cost more than the matrix product.

    Args:
        s: Similarities, float32 of shape (n, m).
        bounds: P bounds for each row, of shape (n, P), or for each column, of shape (m, P); an
            infinite one is above everything.
        strict: Counts of the larger entries, int32, at least P columns wide; added to.
        loose: Counts of the entries at least as large, laid out alike; added to.
        dim: 1 if the bounds belong to rows, 0 if to columns.
    """
    if s.device.type != 'cpu':
        for p, bound in enumerate(bounds.unbind(dim=1)):
            aligned = bound.unsqueeze(dim)
            strict[:, p] += (s > aligned).sum(dim, dtype=torch.int32).cpu().numpy()
            loose[:, p] += (s >= aligned).sum(dim, dtype=torch.int32).cpu().numpy()
        return
    values, limits = s.numpy(), bounds.numpy()
    rows = min(FITS_A_BYTE, max(1, TILE // values.shape[1]))
    mask = np.empty((rows, values.shape[1]), np.bool_)
    for start in range(0, len(values), rows):
        tile = slice(start, start + rows)
        for p in range(limits.shape[1]):
            for above, counts in ((np.greater, strict), (np.greater_equal, loose)):
                found = mask[: len(values[tile])]
                if dim == 1:
                    above(values[tile], limits[tile, p, None], out=found)
                    counts[tile, p] += found.view(np.uint8).sum(axis=1, dtype=np.uint32)
                else:
                    above(values[tile], limits[:, p], out=found)
                    counts[:, p] += found.view(np.uint8).sum(axis=0, dtype=np.uint8)
