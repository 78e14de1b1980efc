"""RandAugment of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from numbers import Real

import numpy as np
import torch
from mmpretrain.datasets import RandAugment
from mmpretrain.registry import BATCH_AUGMENTS

from ._colours import require_channel_order
from ._policies import PolicyParams, PolicyTransform, choose, policy_of


@BATCH_AUGMENTS.register_module()
class BatchRandAugment(PolicyTransform):
    """Apply several operations, chosen at random, to each image of a batch.

    Cubuk et al., "RandAugment", NeurIPS 2020, arXiv 1909.13719. This is the batch form of the
    host's ``RandAugment``, with its arguments, presets and distributions. Each operation
    computes only the images that chose it. Pixels are those of the host with three exceptions:

    - Levels differ by up to 1, in ``ColorTransform`` by up to 2, where ours are Pillow's.
    - Warps differ at positions that lie halfway between two pixels.
    - In ``Rotate``, the host fills only the first channel if ``pad_val`` is one number.

    Args:
        policies: 'timm_increasing', 'simple_increasing', or configs of transforms.
        num_policies: How many operations are applied to each image, one after the other. The
            same one may be chosen more than once.
        magnitude_level: The level of the operations, from 0 to ``total_level``.
        magnitude_std: The standard deviation of a normal distribution of the level; 'inf' for a
            uniform distribution from 0 to ``magnitude_level``; 0 for a fixed level.
        total_level: The highest level.
        hparams: Arguments for all policies that take them. Default: ``pad_val`` of 128.
        channel_order: The channel order of the images, 'bgr' as the host loads them, or 'rgb'. A
            ``pad_val`` of several levels is in this order.

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
        require_channel_order(channel_order)
        if isinstance(magnitude_std, Real) and isnan(magnitude_std):
            raise ValueError("magnitude_std must be a number of at least 0 or 'inf', got nan")
        hparams = {'pad_val': 128} if hparams is None else hparams
        try:  # the host's class checks the arguments, completes the policies and stores both
            self.settings = RandAugment(
                policies, num_policies, magnitude_level, magnitude_std, total_level, hparams
            )
        except AssertionError as error:
            raise ValueError(f'BatchRandAugment: {error}') from None
        self.policies = [policy_of(transform, channel_order) for transform in self.settings]
        self.channel_order = channel_order
        self.num_uniforms = 4 * num_policies

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> PolicyParams:
        """Return the policies of each image and their strengths.

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

    def __repr__(self) -> str:
        return f'Batch{self.settings!r}'[:-2] + f', channel_order={self.channel_order!r})'
