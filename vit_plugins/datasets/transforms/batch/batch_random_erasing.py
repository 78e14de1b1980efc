"""Random erasing of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ._pixel_noise import pixel_noise
from .batch_transform import BatchTransform, upload


@dataclass(frozen=True)
class BatchRandomErasingParams:
    """The sampled parameters of a batch.

    Args:
        which: The indices of the images that get a rectangle, int64 of shape (N,).
        box: (top, left, height, width) of each rectangle, int64 of shape (N, 4).
        noise: The seed of the noise of each rectangle, int64 of shape (N,).
    """

    which: Tensor
    box: Tensor
    noise: Tensor


def rectangles(box: Tensor, height: int, width: int) -> Tensor:
    """Return a mask of the pixels in a rectangle, for each image.

    Args:
        box: (top, left, height, width), int64 of shape (N, 4).
        height: Height of the images.
        width: Width of the images.

    Returns:
        bool of shape (N, 1, H, W).
    """
    top, left, tall, wide = box[:, :, None].unbind(1)  # each (N, 1)
    rows = torch.arange(height, device=box.device)
    columns = torch.arange(width, device=box.device)
    rows = (rows >= top) & (rows < top + tall)  # (N, H)
    columns = (columns >= left) & (columns < left + wide)  # (N, W)
    return rows[:, None, :, None] & columns[:, None, None, :]


@BATCH_AUGMENTS.register_module()
class BatchRandomErasing(BatchTransform):
    """Fill a random rectangle of some images of a batch.

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, arXiv 1708.04896. This is the
    batch form of the host's ``RandomErasing``, with its arguments, its ways to fill and its
    distributions: a rectangle that fits into the image never touches the last row and column.

    Args:
        erase_prob: The probability that an image gets a rectangle.
        min_area_ratio: The smallest area of the rectangle, as a fraction of the image.
        max_area_ratio: The largest area of the rectangle, as a fraction of the image.
        aspect_range: Range of height / width, on a logarithmic scale. One number r stands for
            (r, 1 / r).
        mode: 'const' fills with ``fill_color``, 'rand' with noise, one value for each pixel and
            channel.
        fill_color: A level for each channel, in the order of the channels, or one for all.
        fill_std: With 'rand': None for uniform noise, or the standard deviation of normal noise
            around ``fill_color``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    num_uniforms = 6

    def __init__(
        self,
        erase_prob: float = 0.5,
        min_area_ratio: float = 0.02,
        max_area_ratio: float = 0.4,
        aspect_range: float | tuple[float, float] = (3 / 10, 10 / 3),
        mode: str = 'const',
        fill_color: float | Sequence[float] = (128, 128, 128),
        fill_std: float | Sequence[float] | None = None,
    ) -> None:
        if isinstance(aspect_range, Real) and aspect_range > 0:
            aspect_range = (
                min(aspect_range, 1 / aspect_range),
                max(aspect_range, 1 / aspect_range),
            )
        self.erase_prob = erase_prob
        self.area = (min_area_ratio, max_area_ratio)
        self.aspect_range = tuple(np.atleast_1d(aspect_range).tolist())
        self.mode = mode
        self.fill_color = _for_channels(fill_color, 'fill_color')
        self.fill_std = None if fill_std is None else _for_channels(fill_std, 'fill_std')
        self._check()

    def _check(self) -> None:
        if not 0 <= self.erase_prob <= 1:
            raise ValueError(f'erase_prob must lie between 0 and 1, got {self.erase_prob}')
        if not 0 <= self.area[0] <= self.area[1] <= 1:
            raise ValueError(
                'min_area_ratio and max_area_ratio must satisfy '
                f'0 <= min_area_ratio <= max_area_ratio <= 1, got {self.area}'
            )
        if len(self.aspect_range) != 2 or not 0 < self.aspect_range[0] <= self.aspect_range[1]:
            raise ValueError(
                'aspect_range must be a positive number or (lowest, highest) with 0 < lowest, '
                f'got {self.aspect_range}'
            )
        if self.mode not in ('const', 'rand'):
            raise ValueError(f"mode must be 'const' or 'rand', got {self.mode!r}")
        if self.mode == 'const' and self.fill_std is not None:
            raise ValueError("fill_std has no effect with mode='const'; use mode='rand'")

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> BatchRandomErasingParams:
        """Return which images get a rectangle, and the rectangles.

        Args:
            numbers: float64 of shape (B, 6) in [0, 1).
            shape: (height, width) of the images.
        """
        which = np.flatnonzero(numbers[:, 0] < self.erase_prob)
        _, aspect, area, *place, noise = numbers[which].T
        low, high = (math.log(side) for side in self.aspect_range)
        aspect = np.exp(low + (high - low) * aspect)
        area = (self.area[0] + (self.area[1] - self.area[0]) * area) * shape[0] * shape[1]
        sizes = [
            np.minimum(np.rint(np.sqrt(ideal)), side).astype(np.int64)
            for ideal, side in zip((area * aspect, area / aspect), shape, strict=True)
        ]
        starts = [
            (u * (side - size)).astype(np.int64)
            for u, side, size in zip(place, shape, sizes, strict=True)
        ]
        return BatchRandomErasingParams(
            torch.from_numpy(which),
            torch.from_numpy(np.stack([*starts, *sizes], 1)),
            torch.from_numpy((noise * 2.0**53).astype(np.int64)),
        )

    def apply(self, images: Tensor, params: BatchRandomErasingParams) -> Tensor:
        """Return the images with the rectangles filled, uint8 of the same shape.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The sampled parameters.
        """
        results = images.clone()
        if not len(params.which):
            return results
        which, box, noise = (
            upload(values, images.device) for values in (params.which, params.box, params.noise)
        )
        chosen = images.index_select(0, which)  # (N, C, H, W)
        mask = rectangles(box, *images.shape[2:])
        filled = torch.where(mask, self._filling(chosen, noise), chosen)
        return results.index_copy_(0, which, filled)

    def _filling(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return the content of the rectangles, computed for all pixels, uint8."""
        colour = self._levels(self.fill_color, images)
        if self.mode == 'const':
            return colour.to(torch.uint8)
        uniform = pixel_noise(noise, images[0].numel()).view(images.shape)
        if self.fill_std is None:
            return (uniform * 256).to(torch.uint8)
        normal = torch.special.ndtri(uniform) * self._levels(self.fill_std, images) + colour
        return normal.clamp(0, 255).to(torch.uint8)

    def _levels(self, values: tuple[float, ...], images: Tensor) -> Tensor:
        levels = torch.tensor(values[: images.shape[1]])[:, None, None]
        return upload(levels, images.device)  # (C, 1, 1)

    def __repr__(self) -> str:
        return (
            f'BatchRandomErasing(erase_prob={self.erase_prob}, min_area_ratio={self.area[0]}, '
            f'max_area_ratio={self.area[1]}, aspect_range={self.aspect_range}, '
            f'mode={self.mode!r}, fill_color={self.fill_color}, fill_std={self.fill_std})'
        )


def _for_channels(value: float | Sequence[float], name: str) -> tuple[float, ...]:
    values = (value,) * 3 if isinstance(value, Real) else tuple(value)
    if len(values) != 3 or not all(0 <= v <= 255 for v in values):
        raise ValueError(f'{name} must be one or three numbers from 0 to 255, got {value}')
    return tuple(float(v) for v in values)
