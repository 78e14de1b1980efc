"""Random resized crop of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ._resampling import KERNELS, resample, resampling_matrix
from .batch_transform import BatchTransform, upload


@dataclass(frozen=True)
class BatchRandomResizedCropParams:
    """The sampled parameters of a batch.

    Args:
        box: (top, left, height, width) of each crop, int64 of shape (B, 4).
        flip: Which crops are flipped horizontally, bool of shape (B,).
    """

    box: Tensor
    flip: Tensor


@BATCH_AUGMENTS.register_module()
class BatchRandomResizedCrop(BatchTransform):
    """Crop a random rectangle of each image of a batch and resize it to a fixed size.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6. This is the batch form
    of the host's ``RandomResizedCrop``, with its distributions. Pixels differ by at most one grey
    level from those of the host's backend 'pillow', and without antialiasing from those of
    'cv2'. Images are resized along the width first. New versions of Pillow begin with the height
    where this is faster, and then differ more where levels are clipped.

    Args:
        scale: Side of the result, or (height, width).
        crop_ratio_range: Range of the crop's area, as a fraction of the image.
        aspect_ratio_range: Range of width / height, on a logarithmic scale.
        max_attempts: How many crops are sampled until one fits into the image. If none fits, the
            largest centred crop with an allowed aspect ratio is used.
        interpolation: 'bilinear' or 'bicubic'.
        antialias: Whether pixels are averaged where a crop gets smaller, as in Pillow. With
            'bilinear' this can be switched off, as in OpenCV.
        flip_prob: The probability that a crop is flipped horizontally. This takes no extra time.

    Raises:
        ValueError: If an argument is out of its range or not known.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        max_attempts: int = 10,
        interpolation: str = 'bilinear',
        antialias: bool = True,
        flip_prob: float = 0.0,
    ) -> None:
        self.scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
        self.crop_ratio_range = tuple(crop_ratio_range)
        self.aspect_ratio_range = tuple(aspect_ratio_range)
        self.max_attempts = max_attempts
        self.interpolation = interpolation
        self.antialias = antialias
        self.flip_prob = flip_prob
        self._check()
        self.num_uniforms = 3 + 2 * max_attempts

    def _check(self) -> None:
        if len(self.scale) != 2 or not all(isinstance(s, int) and s > 0 for s in self.scale):
            raise ValueError(f'scale must be one or two positive integers, got {self.scale}')
        for name in ('crop_ratio_range', 'aspect_ratio_range'):
            value = getattr(self, name)
            if len(value) != 2 or not 0 < value[0] <= value[1]:
                raise ValueError(f'{name} must be (lowest, highest), 0 < lowest, got {value}')
        if self.crop_ratio_range[1] > 1:
            raise ValueError(f'crop_ratio_range must not exceed 1, got {self.crop_ratio_range}')
        if not isinstance(self.max_attempts, int) or self.max_attempts < 0:
            raise ValueError(f'max_attempts must be an integer >= 0, got {self.max_attempts!r}')
        if self.interpolation not in KERNELS:
            raise ValueError(
                f'interpolation must be one of {tuple(KERNELS)}, got {self.interpolation!r}'
            )
        if not self.antialias and self.interpolation != 'bilinear':
            raise ValueError(
                "antialias=False needs interpolation='bilinear', got "
                f'{self.interpolation!r}; keep antialias=True'
            )
        if not 0 <= self.flip_prob <= 1:
            raise ValueError(f'flip_prob must lie between 0 and 1, got {self.flip_prob}')

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> BatchRandomResizedCropParams:
        """Return the rectangle of each crop, and which crops are flipped.

        Args:
            numbers: float64 of shape (B, K) in [0, 1).
            shape: (height, width) of the images.
        """
        flip, u, v = numbers[:, :3].T
        sizes = self._sizes(numbers[:, 3:], shape)  # (B, attempts + 1, 2)
        fits = ((sizes > 0) & (sizes <= shape)).all(2)
        first = fits.argmax(1)  # the fallback, which is the last one, always fits
        size = sizes[np.arange(len(sizes)), first]  # (B, 2)
        spare = np.array(shape) - size
        start = (np.stack([u, v], 1) * (spare + 1)).astype(np.int64)
        start = np.where(first[:, None] < self.max_attempts, start, spare // 2)
        return BatchRandomResizedCropParams(
            torch.from_numpy(np.concatenate([start, size], 1)),
            torch.from_numpy(flip < self.flip_prob),
        )

    def _sizes(self, numbers: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return (height, width) of every attempt and of the fallback."""
        area, aspect = numbers.reshape(len(numbers), self.max_attempts, 2).transpose(
            2, 0, 1
        )  # (B, attempts)
        low, high = self.crop_ratio_range
        area = (low + (high - low) * area) * shape[0] * shape[1]
        low, high = (math.log(ratio) for ratio in self.aspect_ratio_range)
        aspect = np.exp(low + (high - low) * aspect)
        tries = np.rint(np.sqrt(np.stack([area / aspect, area * aspect], 2))).astype(np.int64)
        last = np.broadcast_to(self._fallback(*shape), (len(numbers), 1, 2))
        return np.concatenate([tries, last], 1)

    def _fallback(self, height: int, width: int) -> tuple[int, int]:
        low, high = self.aspect_ratio_range
        if width / height < low:
            return max(1, min(height, round(width / low))), width
        if width / height > high:
            return height, max(1, min(width, round(height * high)))
        return height, width

    def apply(self, images: Tensor, params: BatchRandomResizedCropParams) -> Tensor:
        """Return the crops, uint8 of shape (B, C, *scale).

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The sampled parameters.
        """
        top, left, height, width = upload(params.box, images.device).float().unbind(1)
        flip = upload(params.flip, images.device)
        how = {'interpolation': self.interpolation, 'antialias': self.antialias}
        out_height, out_width = self.scale
        in_height, in_width = images.shape[2:]
        rows = resampling_matrix(top, height, out_height, in_height, **how)
        columns = resampling_matrix(left, width, out_width, in_width, **how, mirrored=flip)
        return resample(images, rows, columns, round_between=self.antialias)

    def __repr__(self) -> str:
        return (
            f'BatchRandomResizedCrop(scale={self.scale}, '
            f'crop_ratio_range={self.crop_ratio_range}, '
            f'aspect_ratio_range={self.aspect_ratio_range}, max_attempts={self.max_attempts}, '
            f'interpolation={self.interpolation!r}, antialias={self.antialias}, '
            f'flip_prob={self.flip_prob})'
        )
