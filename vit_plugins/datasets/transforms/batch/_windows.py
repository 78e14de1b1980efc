"""Crop a window out of each image of a batch, each at another position."""

from __future__ import annotations

import torch
from torch import Tensor


def reflected(positions: Tensor, length: int) -> Tensor:
    """Return the pixels that positions beyond the edges show by reflection without the edge.

    >>> reflected(torch.tensor([-2, -1, 0, 3, 4]), 4).tolist()
    [2, 1, 0, 3, 2]

    Args:
        positions: Integers of any shape.
        length: Number of pixels.
    """
    if length == 1:
        return torch.zeros_like(positions)
    period = 2 * (length - 1)
    positions = positions.remainder(period)
    return torch.minimum(positions, period - positions)


def window_positions(start: Tensor, size: int, mirrored: Tensor | None = None) -> Tensor:
    """Return the positions of windows along one axis, in reverse order where they are flipped.

    Args:
        start: First position of each window, integers of shape (B,).
        size: Length of all windows.
        mirrored: Which windows are flipped, bool of shape (B,). Default: none.

    Returns:
        Integers of shape (B, size).
    """
    steps = torch.arange(size, device=start.device)
    if mirrored is not None:
        steps = torch.where(mirrored[:, None], size - 1 - steps, steps)  # (B, size)
    return start[:, None] + steps


def cut_windows(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the pixels of the given rows and columns of each image.

    Args:
        images: Shape (B, C, H, W).
        rows: int64 of shape (B, h), on the same device.
        columns: int64 of shape (B, w), on the same device.

    Returns:
        Shape (B, C, h, w).
    """
    batch, channels, _, width = images.shape
    places = rows[:, :, None] * width + columns[:, None, :]  # (B, h, w)
    flat = places.flatten(1)[:, None].expand(-1, channels, -1)  # (B, C, h * w)
    return images.flatten(2).gather(2, flat).view(batch, channels, *places.shape[1:])
