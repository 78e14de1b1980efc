"""Resize crops of a whole batch as Pillow does, by two matrix products."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def _linear(x: Tensor) -> Tensor:
    """Compute the triangle for distances of at least 0."""
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Compute Keys' cubic with a = -0.5 for distances of at least 0."""
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
    """Compute what each pixel of a line weighs in the pixels of its resized crop.

    The crop is cut out first: what lies beside it has no weight, and the weights within sum to 1.

    Args:
        start: First pixel of each crop, float32 of shape (B,).
        length: Number of its pixels.
        out_size: Pixels of the resized crop.
        in_size: Pixels of the line.
        interpolation: 'bilinear' or 'bicubic'.
        antialias: Whether the filter widens where the crop shrinks, as in Pillow; not in OpenCV.
        mirrored: Which crops are mirrored, bool of shape (B,).

    Returns:
        float32 of shape (B, out_size, in_size).
    """
    line = torch.arange(in_size, device=start.device, dtype=torch.float32)
    steps = torch.arange(out_size, device=start.device, dtype=torch.float32)
    if mirrored is not None:
        steps = torch.where(mirrored[:, None], out_size - 1 - steps, steps)  # (B, out)
    scale = length[:, None] / out_size  # (B, 1)
    centre = (steps + 0.5) * scale  # (B, out), from the start of the crop
    pixel = line - start[:, None]  # (B, in), from there too
    distance = (pixel[:, None, :] + 0.5 - centre[:, :, None]).abs()  # (B, out, in)
    if antialias:
        distance = distance / scale.clamp(min=1)[:, :, None]
    weight = KERNELS[interpolation](distance)
    inside = (pixel >= 0) & (pixel < length[:, None])  # (B, in)
    weight = weight * inside[:, None, :]
    return weight / weight.sum(-1, keepdim=True)


def resample(images: Tensor, rows: Tensor, columns: Tensor, round_between: bool = True) -> Tensor:
    """Resize a batch along the width, then along the height.

    Args:
        images: uint8 of shape (B, C, H, W).
        rows: Weights of shape (B, h, H), or (1, h, H) for all images alike.
        columns: Weights of shape (B, w, W), or (1, w, W).
        round_between: Whether there are 8 bits in between, too, as in Pillow; not in OpenCV.

    Returns:
        uint8 of shape (B, C, h, w).
    """
    levels = _exact_product(images.float(), columns.transpose(1, 2), from_left=False)
    levels = _rounded(levels) if round_between else levels  # (B, C, H, w)
    return _rounded(_exact_product(levels, rows, from_left=True)).to(torch.uint8)


def _rounded(levels: Tensor) -> Tensor:
    return (levels + 0.5).floor_().clamp_(0, 255)


def _exact_product(levels: Tensor, weights: Tensor, from_left: bool) -> Tensor:
    """Multiply whole numbers up to 255 and weights, in the precision of float32.

    Autocast, TF32 and the lower settings of ``set_float32_matmul_precision`` keep 8 to 11 bits of
    each factor, which whole levels fit into, but not the weights. On a GPU these are split in
    two: 8 bits, and what is left.
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
    """Return a context in which autocast is off; the meta device knows none.

    Args:
        device: Where the products are computed.
    """
    if device.type == 'meta':
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
