"""RandAugment of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from numbers import Real

import numpy as np
import torch
from mmpretrain.datasets import RandAugment
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ._colours import CHANNEL_ORDERS
from ._policies import PolicyParams, apply_policies, choose, policy_of
from .batch_transform import BatchTransform


@BATCH_AUGMENTS.register_module()
class BatchRandAugment(BatchTransform):
    """Apply some operations, chosen at random, to each image of a batch.

    Cubuk et al., "RandAugment", NeurIPS 2020, arXiv 1909.13719. The batch form of the host's
    ``RandAugment``: its arguments, presets and distributions. Its pixels, too, but for: one grey
    level, two in ``ColorTransform``, which here are Pillow's; warps whose places lie halfway
    between two pixels; and ``Rotate``, where the host fills only the first channel with a
    ``pad_val`` of one number. Each operation computes the images that chose it, no others.

    Args:
        policies: 'timm_increasing', 'simple_increasing', or configs of transforms.
        num_policies: How many are applied to each image, one after the other; one may come twice.
        magnitude_level: How strong they are, out of ``total_level``.
        magnitude_std: Standard deviation of a level's normal distribution; 'inf' for a uniform
            one from 0 to ``magnitude_level``; 0 for none.
        total_level: The highest level.
        hparams: Arguments of all policies that have them. Default: ``pad_val`` of 128.
        channel_order: Of the images, 'bgr' as the host loads them, or 'rgb'; ``pad_val`` of
            several levels is in this order.

    Raises:
        ValueError: If an argument is out of its range or not known, or there is no batch form of a
            policy.
    """

    def __init__(
        self,
        policies: str | Sequence[dict],
        num_policies: int,
        magnitude_level: float,
        magnitude_std: float | str = 0.0,
        total_level: float = 10,
        hparams: dict | None = None,
        channel_order: str = 'bgr',
    ) -> None:
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(
                f'channel_order must be one of {CHANNEL_ORDERS}, got {channel_order!r}'
            )
        if isinstance(magnitude_std, Real) and isnan(magnitude_std):
            raise ValueError("magnitude_std must be a number of at least 0 or 'inf', got nan")
        hparams = {'pad_val': 128} if hparams is None else hparams
        try:  # it checks the arguments, completes the policies and keeps both
            self.settings = RandAugment(
                policies, num_policies, magnitude_level, magnitude_std, total_level, hparams
            )
        except AssertionError as error:
            raise ValueError(f'BatchRandAugment: {error}') from None
        self.policies = [policy_of(transform, channel_order) for transform in self.settings]
        self.channel_order = channel_order
        self.num_draws = 4 * num_policies

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> PolicyParams:
        """Return the policies of each image.

        Args:
            numbers: float64 of shape (B, 4 * num_policies) in [0, 1).
            shape: (height, width) of the images.
        """
        steps = numbers.reshape(len(numbers), self.settings.num_policies, 4)
        choice, level, skip, sign = steps.transpose(2, 0, 1)  # each (B, num_policies)
        return choose(self.policies, choice, self._levels(level), skip, sign)

    def _levels(self, numbers: np.ndarray) -> np.ndarray:
        level, std = self.settings.magnitude_level, self.settings.magnitude_std
        total = self.settings.total_level
        if std == 'inf':
            return numbers * level / total
        if std <= 0:
            return np.full_like(numbers, level / total)
        normal = torch.special.ndtri(torch.from_numpy(numbers.clip(2.0**-54))).numpy()
        return (level + std * normal).clip(0, total) / total

    def apply(self, images: Tensor, params: PolicyParams) -> Tensor:
        """Return the augmented images, uint8 of the same shape.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: What to do.
        """
        return apply_policies(images, params, self.policies)

    def __repr__(self) -> str:
        return f'Batch{self.settings!r}'[:-2] + f', channel_order={self.channel_order!r})'
