"""Compute the errors of predicted offsets between patches."""

from __future__ import annotations

import torch
from torch import Tensor


def offset_errors(predicted: Tensor, true: Tensor) -> Tensor:
    """Compute the mean absolute error of each axis, in cells of the grid.

    Args:
        predicted: Offsets (rows, columns), shape (n, 2).
        true: Offsets of the same pairs, shape (n, 2).

    Returns:
        Shape (2,): the error of rows and of columns.
    """
    return (predicted.float() - true.float()).abs().mean(0)


def mean_by_offset(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Average the predictions of all pairs that have the same true offset.

    Args:
        predicted: Offsets (rows, columns), shape (n, 2).
        true: Offsets of the same pairs, whole numbers, shape (n, 2).

    Returns:
        The offsets that occur (k, 2), sorted; the mean prediction of each (k, 2); and the number
        of its pairs (k,).

    >>> mean_by_offset(torch.tensor([[1., 0.], [3., 0.]]), torch.tensor([[2, 0], [2, 0]]))
    (tensor([[2, 0]]), tensor([[2., 0.]]), tensor([2]))
    """
    offsets, group, counts = true.unique(dim=0, return_inverse=True, return_counts=True)
    sums = predicted.new_zeros(len(offsets), 2, dtype=torch.float32)
    sums.index_add_(0, group, predicted.float())
    return offsets, sums / counts[:, None], counts
