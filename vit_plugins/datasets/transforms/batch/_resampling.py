"""Resize crops of a whole batch as Pillow does, with two matrix products."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ._rounding import round_


def _linear(distance: Tensor, unit: Tensor) -> Tensor:
    """Compute the triangle kernel, times ``unit``, for distances of at least 0."""
    return (unit - distance).clamp_(min=0)


def _cubic(distance: Tensor, unit: Tensor) -> Tensor:
    """Compute Keys' cubic kernel with a = -0.5 for distances of at least 0, in their place."""
    x = distance.div_(unit)
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, far.where(x < 2, x.new_zeros(())))


KERNELS = {'bilinear': _linear, 'bicubic': _cubic}


def resampling_matrix(
    start: Tensor,
    length: Tensor,
    out_size: int,
    in_size: int,
    interpolation: str = 'bicubic',
    antialias: bool = True,
    mirrored: Tensor | None = None,
) -> Tensor:
    """Compute the weight of each pixel of a row or column in each pixel of its resized crop.

    The weights are those of cropping first and resizing then: pixels outside the crop have the
    weight 0, and the weights inside sum to 1.

    Positions are multiples of ``1 / (2 * out_size)`` pixels. In this unit they are whole numbers,
    which float32 holds exactly up to 2^24, as it does the unscaled bilinear weights. So every
    device computes the same bilinear weights, and bicubic ones that differ by rounding only.

    Args:
        start: First pixel of each crop, whole numbers in float32 of shape (B,).
        length: Number of pixels of each crop, whole numbers in float32 of shape (B,).
        out_size: Number of pixels of the resized crop.
        in_size: Number of pixels of the row or column.
        interpolation: 'bilinear' or 'bicubic'.
        antialias: Whether the filter gets wider where a crop gets smaller, as in Pillow. OpenCV
            does not do this.
        mirrored: Which crops are flipped, bool of shape (B,). Default: none.

    Returns:
        float32 of shape (B, out_size, in_size).
    """
    line = torch.arange(in_size, device=start.device, dtype=torch.float32)
    steps = torch.arange(out_size, device=start.device, dtype=torch.float32)
    if mirrored is not None:
        steps = torch.where(mirrored[:, None], out_size - 1 - steps, steps)  # (B, out)
    centre = (2 * steps + 1) * length[:, None]  # (B, out), from the start of the crop
    pixel = line - start[:, None]  # (B, in), from there too
    place = (2 * pixel + 1) * out_size  # (B, in), of its centre
    distance = (place[:, None, :] - centre[:, :, None]).abs_()  # (B, out, in)
    reach = length.clamp(min=out_size) if antialias else torch.full_like(length, out_size)
    weight = KERNELS[interpolation](distance, 2 * reach[:, None, None])
    inside = (pixel >= 0) & (pixel < length[:, None])  # (B, in)
    weight.mul_(inside[:, None, :])
    return weight.div_(weight.sum(-1, keepdim=True))


def resample(images: Tensor, rows: Tensor, columns: Tensor, round_between: bool = True) -> Tensor:
    """Resize a batch along the width, then along the height.

    Args:
        images: uint8 of shape (B, C, H, W).
        rows: Weights of shape (B, h, H), or (1, h, H) for all images alike.
        columns: Weights of shape (B, w, W), or (1, w, W) for all images alike.
        round_between: Whether the result of the first step is rounded to 8 bits as well, as in
            Pillow. OpenCV does not do this.

    Returns:
        uint8 of shape (B, C, h, w).
    """
    levels = _exact_product(images.float(), columns.transpose(1, 2), from_left=False)
    levels = _rounded(levels) if round_between else levels  # (B, C, H, w)
    return _rounded(_exact_product(levels, rows, from_left=True)).to(torch.uint8)


def _rounded(levels: Tensor) -> Tensor:
    return round_(levels).clamp_(0, 255)


def _exact_product(levels: Tensor, weights: Tensor, from_left: bool) -> Tensor:
    """Compute the product of levels and weights in the precision of float32.

    Autocast, TF32 and the lower settings of ``set_float32_matmul_precision`` keep only 8 to 11
    bits of each factor. This is enough for levels, which are whole numbers up to 255, but not for
    weights. On a GPU the weights are therefore split into two terms: their first 8 bits, and the
    remainder.
    """
    multiply = _from_left if from_left else _from_right
    with full_precision(levels.device):
        if not _splits(levels.device):
            return multiply(levels, weights)
        head = weights.bfloat16().float()
        return multiply(levels, head) + multiply(levels, weights - head)


def _splits(device: torch.device) -> bool:
    return device.type != 'cpu'


def _from_left(levels: Tensor, weights: Tensor) -> Tensor:
    return weights[:, None] @ levels  # (B, 1, h, H) @ (B, C, H, w)


def _from_right(levels: Tensor, weights: Tensor) -> Tensor:
    if len(weights) == 1:  # one product for all images
        return levels @ weights[0]
    batch, channels, height, _ = levels.shape
    lines = levels.flatten(1, 2) @ weights  # (B, C * H, W) @ (B, W, w)
    return lines.view(batch, channels, height, weights.shape[2])


def full_precision(device: torch.device) -> AbstractContextManager:
    """Return a context in which autocast is off; the meta device has no autocast.

    Args:
        device: The device that computes the products.
    """
    if device.type == 'meta':
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
