"""Pillow's colour operations on batches of 8-bit images, with a strength for each image.

Levels are whole numbers in float32, so that several operations in a row need no conversion.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Pillow's integer weights of red, green and blue; their sum is 65536
GREY_WEIGHTS = (19595, 38470, 7471)
CHANNEL_ORDERS = ('bgr', 'rgb')


def require_channel_order(order: str) -> None:
    """Check the name of an order of channels.

    Args:
        order: The name.

    Raises:
        ValueError: If it is not one of ``CHANNEL_ORDERS``.
    """
    if order not in CHANNEL_ORDERS:
        raise ValueError(f'channel_order must be one of {CHANNEL_ORDERS}, got {order!r}')


def per_image(values: Tensor) -> Tensor:
    """Return one number per image in a shape that broadcasts to (B, C, H, W).

    Args:
        values: Shape (B,).
    """
    return values[:, None, None, None]


def grey(levels: Tensor, order: str = 'bgr') -> Tensor:
    """Return grey images as Pillow's mode ``L``, in new memory.

    All products and sums are whole numbers below 2^24, so they are exact in float32.

    Args:
        levels: float32 of shape (B, C, H, W). If C is 1, the result is a copy.
        order: 'bgr' or 'rgb', the order of the channels.

    Returns:
        float32 of shape (B, 1, H, W).
    """
    if levels.shape[1] == 1:
        return levels.clone()
    first, second, third = GREY_WEIGHTS if order == 'rgb' else GREY_WEIGHTS[::-1]
    total = levels[:, :1] * first
    total.add_(levels[:, 1:2], alpha=second).add_(levels[:, 2:], alpha=third)
    return total.add_(32768).mul_(1 / 65536).floor_()


def mean_level(levels: Tensor) -> Tensor:
    """Return the mean of each image, rounded half up.

    Args:
        levels: float32 of shape (B, 1, H, W).

    Returns:
        float32 of shape (B, 1, 1, 1).
    """
    # float32 holds whole numbers exactly up to 2^24, which the sum of 257 x 257 white pixels
    # passes, but no sum of one row. Integers also avoid a division of floats, which a GPU
    # computes by multiplication with the reciprocal.
    rows = levels.sum(3, keepdim=True)  # (B, 1, H, 1)
    total = rows.sum((1, 2), keepdim=True, dtype=torch.int64)
    count = levels.shape[1:].numel()
    return ((2 * total + count) // (2 * count)).float()


def blend_(levels: Tensor, other: Tensor | float, factor: Tensor) -> Tensor:
    """Compute ``other + factor * (levels - other)``, clipped and truncated, as ``Image.blend``.

    Args:
        levels: float32 of shape (B, C, H, W). The result replaces these values, because to
            allocate new memory takes longer than to compute the result.
        other: The result with a factor of 0, broadcast to that shape.
        factor: float32 of shape (B,). Above 1 the result moves away from ``other``.
    """
    levels.sub_(other).mul_(per_image(factor)).add_(other)
    return levels.clamp_(0, 255).floor_()


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert all levels that are at least as high as a threshold.

    Args:
        images: uint8 or float32 of shape (B, C, H, W).
        threshold: The lowest level that is inverted, shape (B,).
    """
    return torch.where(images < per_image(threshold), images, 255 - images)
