"""3-Augment of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ..three_augment import MEMBERS, ORDERS, ThreeAugment
from ._blurs import blur, box_halves
from ._choices import apply_choices
from ._colours import (
    blend_,
    grey,
    mean_level,
    per_image,
    require_channel_order,
    solarize,
)
from ._mirrored import mirrored
from .batch_transform import BatchTransform, upload

NAMES = (*MEMBERS, 'identity')
STEPS = ('brightness', 'contrast', 'saturation')
# for each order of the jitter, the index in STEPS of each of its steps
ORDER_TABLE = torch.tensor([[STEPS.index(name) for name in order] for order in ORDERS])


@dataclass(frozen=True)
class BatchThreeAugmentParams:
    """The sampled parameters of a batch.

    Args:
        member: The operation of each image, as an index in :data:`NAMES`, int64 of shape (B,).
        threshold: The lowest level that solarize inverts.
        radius: The standard deviation of the blur in pixels, float64 of shape (B,).
        steps: The steps of the colour jitter in their order, as indices in :data:`STEPS`, int64
            of shape (B, 3), or (B, 0) if there is no jitter.
        factors: The factor of each step, float32 of the same shape.
        flip: Which images are first flipped horizontally, bool of shape (B,), or None for none.
    """

    member: Tensor
    threshold: int
    radius: Tensor
    steps: Tensor
    factors: Tensor
    flip: Tensor | None


def batch_three_augment(
    images: Tensor, params: BatchThreeAugmentParams, channel_order: str = 'bgr'
) -> Tensor:
    """Apply the sampled parameters: the flip, the member, then the colour jitter.

    Args:
        images: uint8 of shape (B, C, H, W).
        params: The sampled parameters.
        channel_order: 'bgr' or 'rgb'.

    Returns:
        uint8 of the same shape.
    """
    if params.flip is not None:
        images = mirrored(images, upload(params.flip, images.device))

    def to_grey(some: Tensor, _: Tensor) -> Tensor:
        return grey(some.float(), channel_order).to(torch.uint8).expand_as(some)

    def invert(some: Tensor, _: Tensor) -> Tensor:
        return solarize(some, torch.full_like(some[:, 0, 0, 0], params.threshold, dtype=torch.int))

    blurred = params.member == NAMES.index('blur')
    boxes = box_halves(torch.where(blurred, params.radius, 0).numpy())
    images = apply_choices(images, params.member, boxes, (to_grey, invert, blur, None))
    if not params.steps.shape[1]:
        return images
    steps, factors = upload(params.steps, images.device), upload(params.factors, images.device)
    return jitter_(images.float(), steps, factors, channel_order).to(torch.uint8)


def jitter_(levels: Tensor, steps: Tensor, factors: Tensor, channel_order: str) -> Tensor:
    """Adjust brightness, contrast and saturation, in a given order for each image.

    Brightness blends with black, contrast with the mean of the grey image, saturation with the
    grey image.

    Args:
        levels: Whole numbers, float32 of shape (B, C, H, W). The result replaces these values.
        steps: The steps in their order, as indices in :data:`STEPS`, int64 of shape (B, K).
        factors: The factor of each step, float32 of shape (B, K).
        channel_order: 'bgr' or 'rgb'.

    Returns:
        Whole numbers, float32 of the same shape.
    """
    for step, factor in zip(steps.unbind(1), factors.unbind(1), strict=True):
        index = per_image(step)  # (B, 1, 1, 1)
        shade = grey(levels, channel_order)  # (B, 1, H, W)
        other = shade.where(index == 2, mean_level(shade) * (index == 1))
        blend_(levels, other, factor)
    return levels


@BATCH_AUGMENTS.register_module()
class BatchThreeAugment(BatchTransform):
    """Apply exactly one of grayscale, solarize and blur to each image, then colour jitter.

    This is the batch form of :class:`ThreeAugment`: the same uniform numbers give the same
    parameters. Pixels differ from Pillow's as they do there, and by less after a blur. The
    arguments are those of ThreeAugment, but members can be given by name only.

    Args:
        members: The operations from which one is chosen for each image, see
            :class:`ThreeAugment`.
        weights: The relative frequency of each member. Default: all are equally frequent.
        color_jitter: j. The factors of brightness, contrast and saturation are sampled from
            [max(0, 1-j), 1+j] and applied in random order. With None or 0 there is no jitter.
        solarize_threshold: The lowest level that solarize inverts.
        blur_radius: Range of the blur's standard deviation in pixels.
        flip_prob: The probability that an image is flipped horizontally before all else. The
            batch crops can flip as well, at no extra time.
        channel_order: The channel order of the images, 'bgr' as the host loads them, or 'rgb'.

    Raises:
        ValueError: If a member is not known, is named twice or is a config, if the weights do
            not fit the members, or if another argument is out of its range.
    """

    num_uniforms = 7

    def __init__(
        self,
        members: Sequence[str] = MEMBERS,
        weights: Sequence[float] | None = None,
        color_jitter: float | None = 0.3,
        solarize_threshold: int = 128,
        blur_radius: tuple[float, float] = (0.1, 2.0),
        flip_prob: float = 0.0,
        channel_order: str = 'bgr',
    ) -> None:
        if not isinstance(members, str) and any(not isinstance(m, str) for m in members):
            raise ValueError(
                f'members of BatchThreeAugment must be names among {NAMES}, got {members}; '
                'ThreeAugment, which takes one image at a time, takes configs as well'
            )
        require_channel_order(channel_order)
        # ThreeAugment checks the arguments and stores them
        self.settings = ThreeAugment(
            members, weights, color_jitter, solarize_threshold, blur_radius, flip_prob
        )
        self.channel_order = channel_order

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> BatchThreeAugmentParams:
        """Return the parameters of each image, which do not depend on its size.

        Args:
            numbers: float64 of shape (B, 7) in [0, 1).
            shape: (height, width) of the images.
        """
        choice, radius, order, flip, *factors = torch.from_numpy(numbers).unbind(1)
        low, high = self.settings.blur_radius
        return BatchThreeAugmentParams(
            self._members(choice),
            self.settings.solarize_threshold,
            low + (high - low) * radius,
            *self._jitter(order, torch.stack(factors, 1)),
            flip < self.settings.flip_prob if self.settings.flip_prob else None,
        )

    def _members(self, choice: Tensor) -> Tensor:
        if not self.settings.members:
            return torch.full_like(choice, NAMES.index('identity'), dtype=torch.int64)
        weights = self.settings.weights or (1,) * len(self.settings.members)
        upper = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        named = torch.tensor([NAMES.index(member) for member in self.settings.members])
        return named[torch.searchsorted(upper, choice * upper[-1], right=True)]

    def _jitter(self, order: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        if not self.settings.color_jitter:
            return torch.empty(len(order), 0, dtype=torch.int64), torch.empty(len(order), 0)
        least = max(0.0, 1 - self.settings.color_jitter)
        width = 1 + self.settings.color_jitter - least
        steps = ORDER_TABLE[(order * len(ORDERS)).long()]  # (B, 3)
        return steps, (least + width * numbers).float()

    def apply(self, images: Tensor, params: BatchThreeAugmentParams) -> Tensor:
        """Return the augmented images, uint8 of the same shape.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The sampled parameters.
        """
        return batch_three_augment(images, params, self.channel_order)

    def __repr__(self) -> str:
        inner = repr(self.settings)[:-1].replace('ThreeAugment', 'BatchThreeAugment', 1)
        return f'{inner}, channel_order={self.channel_order!r})'
