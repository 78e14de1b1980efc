"""Affine warps of a batch, with one affine map for each image."""

from __future__ import annotations

import torch
from torch import Tensor

from ._rounding import round_

# The pixels that contribute to a position between pixels: offsets from the pixel before it.
TAPS = {'nearest': (0,), 'bilinear': (0, 1), 'bicubic': (-1, 0, 1, 2)}


def rotation(angles: Tensor, height: int, width: int) -> Tensor:
    """Return the affine maps of a rotation about the centre of the images.

    Args:
        angles: Degrees clockwise, float32 of shape (B,).
        height: Height of the images.
        width: Width of the images.

    Returns:
        Maps from (x, y, 1) of the result to (x, y) of the image, float32 of shape (B, 2, 3).
    """
    cos, sin = angles.deg2rad().cos(), angles.deg2rad().sin()
    x, y = (width - 1) / 2, (height - 1) / 2
    rows = (cos, sin, x - cos * x - sin * y), (-sin, cos, y + sin * x - cos * y)
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def shear(strength: Tensor, direction: str) -> Tensor:
    """Return the affine maps of a shear that keeps the first row, or column, in place.

    Args:
        strength: The shift from one row, or column, to the next in pixels, float32 of shape
            (B,).
        direction: 'horizontal' or 'vertical'.

    Returns:
        Maps like those of :func:`rotation`.
    """
    return _identity_but(-strength, (0, 1) if direction == 'horizontal' else (1, 0))


def translation(offset: Tensor, direction: str) -> Tensor:
    """Return the affine maps of a translation.

    Args:
        offset: The shift to the right, or downwards, in pixels, float32 of shape (B,).
        direction: 'horizontal' or 'vertical'.

    Returns:
        Maps like those of :func:`rotation`.
    """
    return _identity_but(-offset, (0, 2) if direction == 'horizontal' else (1, 2))


def _identity_but(values: Tensor, place: tuple[int, int]) -> Tensor:
    maps = torch.eye(2, 3, device=values.device).repeat(len(values), 1, 1)
    maps[:, place[0], place[1]] = values
    return maps


def warp(images: Tensor, maps: Tensor, interpolation: str, fill: Tensor) -> Tensor:
    """Return warped images, filled with a colour beyond the edges.

    Args:
        images: uint8 of shape (B, C, H, W).
        maps: See :func:`rotation`, on the same device.
        interpolation: 'nearest', 'bilinear' or 'bicubic' (a = -0.75, as in OpenCV).
        fill: The level of each channel beyond the edges, float32 of shape (C,).

    Returns:
        uint8 of the same shape.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device, dtype=torch.float32)
    y = torch.arange(height, device=images.device, dtype=torch.float32)[:, None]
    factors = maps[:, :, :, None, None]  # (B, 2, 3, 1, 1)
    places = factors[:, :, 0] * x + factors[:, :, 1] * y + factors[:, :, 2]  # (B, 2, H, W)
    xs, ys = places.unbind(1)
    if interpolation == 'nearest':
        margin = (height + width) * 2**-22  # some units in the last place of the highest position
        return _fetch(images, round_(ys, margin), round_(xs, margin), fill).to(torch.uint8)
    first_x, first_y = xs.floor(), ys.floor()
    weight = _linear if interpolation == 'bilinear' else _cubic
    levels = torch.zeros(images.shape, device=images.device)
    for down in TAPS[interpolation]:
        for right in TAPS[interpolation]:
            tap = _fetch(images, first_y + down, first_x + right, fill)
            share = weight((ys - first_y - down).abs()) * weight((xs - first_x - right).abs())
            levels.addcmul_(tap, share[:, None])
    return round_(levels).clamp_(0, 255).to(torch.uint8)


def _fetch(images: Tensor, ys: Tensor, xs: Tensor, fill: Tensor) -> Tensor:
    """Return the levels at positions (B, H, W) that are whole numbers, float32 (B, C, H, W)."""
    height, width = images.shape[2:]
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    places = ys.clamp(0, height - 1).long() * width + xs.clamp(0, width - 1).long()
    places = places.flatten(1)[:, None].expand(-1, images.shape[1], -1)  # (B, C, H * W)
    levels = images.flatten(2).gather(2, places).view(images.shape).float()
    return torch.where(inside[:, None], levels, fill[:, None, None])


def _linear(x: Tensor) -> Tensor:
    return 1 - x


def _cubic(x: Tensor, a: float = -0.75) -> Tensor:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, far)
