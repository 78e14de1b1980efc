"""Pillow's Gaussian blur for a batch, with a radius for each image."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._rounding import round_

PASSES = 3


def box_halves(radii: np.ndarray) -> Tensor:
    """Return the right halves of the kernels of :func:`box_kernel`, with the middle tap first.

    Args:
        radii: Standard deviation of each blur in pixels, float64 of shape (B,). With 0 the image
            does not change.

    Returns:
        float32 of shape (B, taps) on the CPU. The widest kernel sets the number of taps.
    """
    variance = radii**2 / PASSES
    half = np.floor((np.sqrt(12 * variance + 1) - 1) / 2)  # l of the extended box
    outer = (2 * half + 1) * (half * (half + 1) - 3 * variance)
    outer /= 6 * (variance - (half + 1) ** 2)
    offset = np.arange(int(half.max(initial=0)) + 2)
    box = (offset <= half[:, None]) + (offset == half[:, None] + 1) * outer[:, None]
    box /= 2 * box.sum(1, keepdims=True) - 1  # the middle tap, which is 1 so far, counts once
    return torch.from_numpy(box.astype(np.float32))


def blur(images: Tensor, boxes: Tensor) -> Tensor:
    """Blur as ``PIL.ImageFilter.GaussianBlur`` does, pass by pass.

    Three boxes are applied along the width, then three along the height. Each repeats the pixel
    at the edge and rounds to 8 bits. Pillow has weights of 24 bits and rounds some values that
    lie halfway between two levels to the other one. The results differ by up to 3 grey levels
    where such values are frequent.

    Args:
        images: uint8 of shape (B, C, H, W).
        boxes: See :func:`box_halves`, on the same device.

    Returns:
        uint8 of the same shape.
    """
    levels = images.float()
    # a grouped convolution could run in TF32, which keeps only 11 bits of the weights
    for axis in (3,) * PASSES + (2,) * PASSES:
        levels = round_(_along(levels, boxes, axis))
    return levels.to(torch.uint8)


def _along(levels: Tensor, halves: Tensor, axis: int) -> Tensor:
    """Filter along one axis; the pixel at the edge is repeated."""
    reach = halves.shape[1] - 1
    pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = F.pad(levels, pad, mode='replicate')
    size = levels.shape[axis]
    weights = halves[:, :, None, None, None]  # (B, taps, 1, 1, 1)
    total = levels * weights[:, 0]
    for tap in range(1, reach + 1):
        both = padded.narrow(axis, reach - tap, size) + padded.narrow(axis, reach + tap, size)
        total.addcmul_(both, weights[:, tap])
    return total
