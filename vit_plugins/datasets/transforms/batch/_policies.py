"""The operations that an augmentation policy chooses from, and their strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from mmpretrain.datasets.transforms.auto_augment import BaseAugTransform
from torch import Tensor

from . import _tones as tones
from . import _warps as warps
from ._choices import Operation, apply_choices
from .batch_transform import BatchTransform, upload


@dataclass(frozen=True)
class Policy:
    """One operation of an augmentation policy, with its range of strengths.

    Args:
        operation: Function of a uint8 batch and of strengths. None stands for no change.
        weakest: The strength at level 0.
        strongest: The strength at the highest level.
        prob: The probability that the operation is applied if it was chosen.
        negative_prob: The probability that the strength changes its sign.
    """

    operation: Operation | None
    weakest: float = 0.0
    strongest: float = 0.0
    prob: float = 1.0
    negative_prob: float = 0.0


@dataclass(frozen=True)
class PolicyParams:
    """The sampled parameters of a batch.

    Args:
        choice: The index of the policy for each image and step, int64 of shape (B, steps). An
            index that equals the number of policies stands for no change.
        strength: The strength of each operation, float32 of shape (B, steps).
    """

    choice: Tensor
    strength: Tensor


def choose(
    policies: Sequence[Policy],
    choice: np.ndarray,
    level: np.ndarray,
    skip: np.ndarray,
    sign: np.ndarray,
) -> PolicyParams:
    """Return the policies and strengths that uniform numbers select.

    Args:
        policies: The policies to choose from.
        choice: Numbers in [0, 1) that select the policy, shape (B, steps).
        level: The level of each policy from 0 to 1, same shape.
        skip: Numbers in [0, 1) that decide whether the policy is applied, same shape.
        sign: Numbers in [0, 1) that decide whether the strength changes its sign, same shape.
    """
    choice = (choice * len(policies)).astype(np.int64)
    table = [(p.weakest, p.strongest, p.prob, p.negative_prob) for p in policies]
    weakest, strongest, prob, negative = np.array(table)[choice].transpose(2, 0, 1)
    strength = weakest + level * (strongest - weakest)
    strength = np.where(sign < negative, -strength, strength)
    choice = np.where(skip < prob, choice, len(policies))
    return PolicyParams(torch.from_numpy(choice), torch.from_numpy(strength).float())


def apply_policies(images: Tensor, params: PolicyParams, policies: Sequence[Policy]) -> Tensor:
    """Apply the sampled policies, step by step.

    Args:
        images: uint8 of shape (B, C, H, W).
        params: The sampled parameters.
        policies: The policies that the parameters were sampled from.

    Returns:
        uint8 of the same shape.
    """
    operations = [*(policy.operation for policy in policies), None]
    for choice, strength in zip(params.choice.unbind(1), params.strength.unbind(1), strict=True):
        images = apply_choices(images, choice, strength, operations)
    return images


class PolicyTransform(BatchTransform):
    """A batch transform that samples one or more policies for each image.

    Attributes:
        policies: The policies that :meth:`sample` chooses from.
    """

    policies: Sequence[Policy]

    def apply(self, images: Tensor, params: PolicyParams) -> Tensor:
        """Return the augmented images, uint8 of the same shape.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The sampled parameters.
        """
        return apply_policies(images, params, self.policies)


def warped(
    images: Tensor,
    strength: Tensor,
    kind: str,
    direction: str = 'horizontal',
    interpolation: str = 'nearest',
    fill: Sequence[float] = (0, 0, 0),
) -> Tensor:
    """Return a rotated, sheared or translated batch.

    Args:
        images: uint8 of shape (B, C, H, W).
        strength: float32 of shape (B,). For 'rotate' degrees, for 'shear' pixels per row or
            column, for 'translate' a fraction of the image's side, for 'shift' pixels.
        kind: 'rotate', 'shear', 'translate' or 'shift'.
        direction: 'horizontal' or 'vertical'; 'rotate' does not use it.
        interpolation: 'nearest', 'bilinear' or 'bicubic'.
        fill: The level of each channel for pixels from beyond the edges.
    """
    height, width = images.shape[2:]
    if kind == 'rotate':
        maps = warps.rotation(strength, height, width)
    elif kind == 'shear':
        maps = warps.shear(strength, direction)
    else:
        side = width if direction == 'horizontal' else height
        maps = warps.translation(strength * (side if kind == 'translate' else 1), direction)
    levels = upload(torch.tensor(fill[: images.shape[1]], dtype=torch.float32), images.device)
    return warps.warp(images, maps, interpolation, levels)


# The host's transforms that have no other settings, with the attribute that may fix the strength.
PLAIN = {
    'AutoContrast': (tones.auto_contrast, None),
    'Equalize': (tones.equalize, None),
    'Invert': (tones.invert, None),
    'Posterize': (tones.posterize, 'bits'),
    'Solarize': (tones.solarize, 'thr'),
    'Brightness': (tones.brightness, 'magnitude'),
    'Sharpness': (tones.sharpness, 'magnitude'),
}
COLOURED = {'Contrast': tones.contrast, 'ColorTransform': tones.colour}
WARPS = {'Rotate': 'angle', 'Shear': 'magnitude', 'Translate': 'magnitude'}


def policy_of(transform: BaseAugTransform, channel_order: str) -> Policy:
    """Return the batch form of a transform of the host.

    Args:
        transform: One of the host's transforms of AutoAugment's family.
        channel_order: 'bgr' or 'rgb'.

    Raises:
        ValueError: If the transform has no batch form.
    """
    operation, fixed = _operation_of(transform, channel_order)
    strength = getattr(transform, fixed) if fixed else 0
    ends = transform.magnitude_range if strength is None else (strength, strength)
    return Policy(operation, *ends, transform.prob, transform.random_negative_prob)


def _operation_of(transform: BaseAugTransform, order: str) -> tuple[Operation, str | None]:
    name = type(transform).__name__
    if name in PLAIN:
        return PLAIN[name]
    if name in COLOURED:
        return partial(COLOURED[name], channel_order=order), 'magnitude'
    if name == 'SolarizeAdd':
        return partial(tones.solarize_add, threshold=transform.thr), 'magnitude'
    if name not in WARPS or transform.interpolation not in warps.TAPS or _off_centre(transform):
        known = ', '.join(sorted([*PLAIN, *COLOURED, 'SolarizeAdd', *WARPS]))
        raise ValueError(
            f'there is no batch form of {transform}; the types that have one are {known}, where '
            f'the interpolation of a warp must be one of {", ".join(warps.TAPS)} and a rotation '
            'must be about the centre'
        )
    operation = partial(
        warped,
        kind=name.lower(),
        direction=getattr(transform, 'direction', 'horizontal'),
        interpolation=transform.interpolation,
        fill=np.broadcast_to(transform.pad_val, 3).tolist(),
    )
    return operation, WARPS[name]


def _off_centre(transform: BaseAugTransform) -> bool:
    return getattr(transform, 'center', None) is not None or getattr(transform, 'scale', 1) != 1
