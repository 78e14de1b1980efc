"""Random flip of a batch."""

from __future__ import annotations

import numpy as np
import torch
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ._mirrored import DIRECTIONS, mirrored
from .batch_transform import BatchTransform, upload


@BATCH_AUGMENTS.register_module()
class BatchRandomFlip(BatchTransform):
    """Flip each image of a batch with a probability, as ``RandomFlip`` does with one image.

    The batch crops of this package and :class:`BatchThreeAugment` can also flip (``flip_prob``).
    In the crops the flip takes no extra time.

    Args:
        prob: The probability that an image is flipped.
        direction: 'horizontal' exchanges left and right, 'vertical' top and bottom.

    Raises:
        ValueError: If an argument is out of its range.
    """

    num_uniforms = 1

    def __init__(self, prob: float = 0.5, direction: str = 'horizontal') -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie between 0 and 1, got {prob}')
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be one of {tuple(DIRECTIONS)}, got {direction!r}')
        self.prob = prob
        self.direction = direction

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> Tensor:
        """Return which images are flipped, bool of shape (B,).

        Args:
            numbers: float64 of shape (B, 1) in [0, 1).
            shape: (height, width) of the images.
        """
        return torch.from_numpy(numbers[:, 0] < self.prob)

    def apply(self, images: Tensor, params: Tensor) -> Tensor:
        """Return the batch with the chosen images flipped.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: Which images are flipped, bool of shape (B,).
        """
        return mirrored(images, upload(params, images.device), self.direction)

    def __repr__(self) -> str:
        return f'BatchRandomFlip(prob={self.prob}, direction={self.direction!r})'
