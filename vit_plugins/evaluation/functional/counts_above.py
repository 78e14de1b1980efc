"""Count how many similarities of a block lie above the bounds of its rows or columns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

FITS_A_BYTE = 255  # this number of ones can be added as bytes, which is fastest
TILE = 1 << 18  # entries that fit into a core's cache while all bounds are compared
FEW_ABOVE = 1 / 160  # up to this share of a tile for each bound, collecting costs less


@dataclass(frozen=True)
class CountsAbove:
    """The number of entries above each of P bounds of n rows or columns.

    On a CPU this uses numpy, whose comparisons and sums of bytes take a fraction of the time of
    torch's, in as many threads as torch. With torch, counting would cost more than the matrix
    product.

    Args:
        strict: How many are larger than the bound, int32 of shape (n, P).
        loose: How many are at least as large, laid out alike.
    """

    strict: np.ndarray
    loose: np.ndarray

    @classmethod
    def none(cls, *shape: int) -> CountsAbove:
        """Return counts of 0.

        Args:
            *shape: Their shape.
        """
        return cls(np.zeros(shape, np.int32), np.zeros(shape, np.int32))

    def __getitem__(self, index: Any) -> CountsAbove:
        """Return the counts of a part; what is added to a slice is added here.

        Args:
            index: As for arrays.
        """
        return CountsAbove(self.strict[index], self.loose[index])

    def count(self, s: Tensor, bounds: Tensor, dim: int = 1) -> None:
        """Add the number of entries above each bound in its row or column of ``s`` (n, m).

        Args:
            s: Similarities, float32.
            bounds: Bounds for each row (n, P), or for each column (m, P), no more than there are
                counts; an infinite one is above everything.
            dim: 1 if the bounds belong to rows, 0 if to columns.
        """
        if s.device.type == 'cpu':
            _in_threads(_count_tile, self, s, bounds, dim)
            return
        for p, bound in enumerate(bounds.unbind(dim=1)):
            aligned = bound.unsqueeze(dim)
            self.strict[:, p] += (s > aligned).sum(dim, dtype=torch.int32).cpu().numpy()
            self.loose[:, p] += (s >= aligned).sum(dim, dtype=torch.int32).cpu().numpy()

    def count_few(self, s: Tensor, bounds: Tensor, dim: int = 1) -> None:
        """Do the same as :meth:`count`, faster where little lies above the lowest bound.

        Args:
            s: Similarities, float32.
            bounds: Bounds for each row or column.
            dim: 1 if the bounds belong to rows, 0 if to columns.
        """
        if s.device.type != 'cpu':
            self.count(s, bounds, dim)
        elif bounds.shape[1]:  # there is a lowest bound
            _in_threads(_count_few_in_tile, self, s, bounds, dim)

    def search(self, s: Tensor, bounds: Tensor) -> None:
        """Sort each row of ``s`` (n, m), and add the number of entries above each bound (n, P).

        Args:
            s: Similarities, float32.
            bounds: Bounds for each row.
        """
        if s.device.type != 'cpu':
            s = s.sort(dim=1).values
        else:
            s.numpy().sort(axis=1)  # in place, without the indices that torch would compute
        for counts, right in ((self.strict, True), (self.loose, False)):
            counts += s.shape[1] - torch.searchsorted(s, bounds, right=right).cpu().numpy()


CountTile = Callable[[CountsAbove, np.ndarray, np.ndarray, int], None]


def _in_threads(count: CountTile, above: CountsAbove, s: Tensor, bounds: Tensor, dim: int) -> None:
    """Count tile by tile; each thread has some of the rows or columns to which bounds belong."""
    values, limits = s.numpy(), bounds.numpy()
    lines = len(limits)
    share = max(1, -(-lines // torch.get_num_threads()))

    def count_lines(first: int) -> None:
        part = slice(first, first + share)
        own, mine = above[part], limits[part]
        block = values[part] if dim == 1 else values[:, part]
        rows = min(FITS_A_BYTE, max(1, TILE // max(block.shape[1], 1)))
        for start in range(0, len(block), rows):
            tile = slice(start, start + rows)
            if dim == 1:
                count(own[tile], block[tile], mine[tile], dim)
            else:
                count(own, block[tile], mine, dim)

    firsts = range(0, lines, share)
    if len(firsts) == 1:
        count_lines(0)
        return
    with ThreadPoolExecutor(len(firsts)) as pool:
        list(pool.map(count_lines, firsts))


def _count_tile(above: CountsAbove, values: np.ndarray, limits: np.ndarray, dim: int) -> None:
    lines, width = values.shape
    padded = np.zeros((lines, -(-width // 8) * 8), np.bool_)
    found = padded[:, :width]
    for p in range(limits.shape[1]):
        aligned = np.expand_dims(limits[:, p], dim)
        for compare, counts in ((np.greater, above.strict), (np.greater_equal, above.loose)):
            compare(values, aligned, out=found)
            if dim == 1:
                counts[:, p] += _sum_of_rows(padded)
            else:  # a tile has no more rows than fit a byte
                counts[:, p] += found.view(np.uint8).sum(axis=0, dtype=np.uint8)


def _sum_of_rows(found: np.ndarray) -> np.ndarray:
    """Count the ones of each row (n, 8 m): eight bytes are added at once, as one integer."""
    words = found.view(np.uint64)  # (n, m)
    firsts = np.arange(0, words.shape[1], FITS_A_BYTE)  # no byte overflows into the next one
    sums = np.add.reduceat(words, firsts, axis=1)
    return sums.view(np.uint8).sum(axis=1, dtype=np.uint32)


def _count_few_in_tile(
    above: CountsAbove, values: np.ndarray, limits: np.ndarray, dim: int
) -> None:
    found = values >= np.expand_dims(limits.min(axis=1), dim)
    number = np.count_nonzero(found)
    if number > FEW_ABOVE * limits.shape[1] * found.size:
        _count_tile(above, values, limits, dim)
        return
    if number == 0:
        return
    places = np.divmod(np.flatnonzero(found), values.shape[1])  # row and column of each
    lines, entries = places[1 - dim], values[places]
    for p in range(limits.shape[1]):
        bounds = limits[lines, p]
        for compare, counts in ((np.greater, above.strict), (np.greater_equal, above.loose)):
            counts[:, p] += np.bincount(lines[compare(entries, bounds)], minlength=len(limits))
