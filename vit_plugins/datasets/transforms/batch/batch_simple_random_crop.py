"""Simple random crop (SRC) of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ..simple_random_crop import require_crop, scale_short_side
from ._resampling import resample, resampling_matrix
from ._windows import cut_windows, reflected, window_positions
from .batch_transform import BatchTransform, upload


@dataclass(frozen=True)
class BatchSimpleRandomCropParams:
    """The sampled parameters of a batch. Positions are those in the resized images.

    Args:
        scaled_shape: (height, width) to which all images are resized.
        top: First row of each crop, int64 of shape (B,). A negative number is a reflected row.
        left: First column of each crop, int64 of shape (B,).
        flip: Which crops are flipped horizontally, bool of shape (B,).
        size: Side of the crops in pixels.
    """

    scaled_shape: tuple[int, int]
    top: Tensor
    left: Tensor
    flip: Tensor
    size: int


def batch_simple_random_crop(images: Tensor, params: BatchSimpleRandomCropParams) -> Tensor:
    """Apply the sampled parameters: resize the images, then crop a square out of each.

    Args:
        images: uint8 of shape (B, C, H, W).
        params: The sampled parameters.

    Returns:
        uint8 of shape (B, C, size, size).
    """
    images = _resized(images, params.scaled_shape)
    height, width = params.scaled_shape
    top, left, flip = (upload(p, images.device) for p in (params.top, params.left, params.flip))
    rows = reflected(window_positions(top, params.size), height)
    columns = reflected(window_positions(left, params.size, flip), width)
    return cut_windows(images, rows, columns)


def _resized(images: Tensor, shape: tuple[int, int]) -> Tensor:
    old = images.shape[-2:]
    if tuple(old) == shape:
        return images
    if images.device.type == 'cpu':  # on a CPU about ten times faster than the matrix products
        return F.interpolate(images, shape, mode='bicubic', antialias=True)
    return _resized_by_products(images, shape)


def _resized_by_products(images: Tensor, shape: tuple[int, int]) -> Tensor:
    start = torch.zeros(1, device=images.device)
    rows, columns = (
        resampling_matrix(start, torch.full_like(start, before), after, before)
        for before, after in zip(images.shape[-2:], shape, strict=True)
    )
    return resample(images, rows, columns)


@BATCH_AUGMENTS.register_module()
class BatchSimpleRandomCrop(BatchTransform):
    """Resize the short side to S, add reflected pixels, and crop S x S at random places.

    This is the batch form of :class:`SimpleRandomCrop`: the same uniform numbers give the same
    crops. Images whose short side is S already are not resized. On a CPU, resized images differ
    from Pillow's as with the backend 'torch' of that class, on other devices by at most one grey
    level.

    Args:
        crop_size: S.
        padding: Number of reflected pixels that are added on each side.
        axes: 'both' or 'x', see :class:`SimpleRandomCrop`.
        flip_prob: The probability that a crop is flipped horizontally. This takes no extra time.

    Raises:
        ValueError: If an argument is out of its range or not known.
    """

    num_uniforms = 3

    def __init__(
        self, crop_size: int, padding: int = 4, axes: str = 'both', flip_prob: float = 0.0
    ) -> None:
        require_crop(crop_size, padding, axes)
        if not 0 <= flip_prob <= 1:
            raise ValueError(f'flip_prob must lie between 0 and 1, got {flip_prob}')
        self.crop_size = crop_size
        self.padding = padding
        self.axes = axes
        self.flip_prob = flip_prob

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> BatchSimpleRandomCropParams:
        """Return the position of each crop, and which crops are flipped.

        Args:
            numbers: float64 of shape (B, 3) in [0, 1).
            shape: (height, width) of the images.
        """
        scaled = scale_short_side(*shape, self.crop_size)
        spare_y, spare_x = (side + 2 * self.padding - self.crop_size for side in scaled)
        top = (numbers[:, 0] * (spare_y + 1)).astype(np.int64)
        if self.axes == 'x':
            top = np.full_like(top, spare_y // 2)
        left = (numbers[:, 1] * (spare_x + 1)).astype(np.int64)
        return BatchSimpleRandomCropParams(
            scaled,
            torch.from_numpy(top - self.padding),
            torch.from_numpy(left - self.padding),
            torch.from_numpy(numbers[:, 2] < self.flip_prob),
            self.crop_size,
        )

    def apply(self, images: Tensor, params: BatchSimpleRandomCropParams) -> Tensor:
        """Return the crops, uint8 of shape (B, C, S, S).

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The sampled parameters.
        """
        return batch_simple_random_crop(images, params)

    def __repr__(self) -> str:
        return (
            f'BatchSimpleRandomCrop(crop_size={self.crop_size}, padding={self.padding}, '
            f'axes={self.axes!r}, flip_prob={self.flip_prob})'
        )
