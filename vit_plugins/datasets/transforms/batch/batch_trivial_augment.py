"""TrivialAugment of a batch."""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
from mmpretrain.registry import BATCH_AUGMENTS

from . import _tones as tones
from ._choices import Operation
from ._colours import require_channel_order
from ._policies import (
    Policy,
    PolicyParams,
    PolicyTransform,
    choose,
    warped,
)
from ._warps import TAPS

HIGHEST_LEVEL = 30


@BATCH_AUGMENTS.register_module()
class BatchTrivialAugment(PolicyTransform):
    """Apply one operation, chosen at random with a random strength, to each image of a batch.

    Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV
    2021, arXiv 2103.10158. There are 14 operations, one of them the identity, with 31 strengths
    of the paper's wide space. An operation that the host has as a transform of one image
    (``Rotate``, ``Posterize``, ...) gives the same pixels as in :class:`BatchRandAugment`.

    Args:
        pad_val: The level beyond the edges: one number, or one for each channel.
        interpolation: How warps interpolate: 'nearest', 'bilinear' or 'bicubic'.
        max_translate: The largest shift in pixels. The paper's value, 32, can move an image of
            32 pixels completely out of view.
        channel_order: The channel order of the images, 'bgr' as the host loads them, or 'rgb'.

    Raises:
        ValueError: If an argument is out of its range or not known.
    """

    num_uniforms = 3

    def __init__(
        self,
        pad_val: float | tuple[float, float, float] = 0,
        interpolation: str = 'nearest',
        max_translate: float = 32,
        channel_order: str = 'bgr',
    ) -> None:
        self.pad_val = (pad_val,) * 3 if isinstance(pad_val, Real) else tuple(pad_val)
        self.interpolation = interpolation
        self.max_translate = max_translate
        self.channel_order = channel_order
        self._check()
        self.policies = list(self._space().values())

    def _check(self) -> None:
        if len(self.pad_val) != 3 or not all(0 <= level <= 255 for level in self.pad_val):
            raise ValueError(
                f'pad_val must be one or three numbers from 0 to 255, got {self.pad_val}'
            )
        if self.interpolation not in TAPS:
            raise ValueError(
                f'interpolation must be one of {tuple(TAPS)}, got {self.interpolation!r}'
            )
        if not self.max_translate >= 0:
            raise ValueError(f'max_translate must be at least 0, got {self.max_translate}')
        require_channel_order(self.channel_order)

    def _space(self) -> dict[str, Policy]:
        """Return the wide space, table 1 of the paper."""
        order = {'channel_order': self.channel_order}
        how = {'interpolation': self.interpolation, 'fill': self.pad_val}

        def signed(operation: Operation, strongest: float) -> Policy:
            return Policy(operation, 0, strongest, negative_prob=0.5)

        def warp(kind: str, direction: str, strongest: float) -> Policy:
            return signed(partial(warped, kind=kind, direction=direction, **how), strongest)

        return {
            'identity': Policy(None),
            'auto_contrast': Policy(tones.auto_contrast),
            'equalize': Policy(tones.equalize),
            'rotate': warp('rotate', '', 135),
            'solarize': Policy(tones.solarize, 255, 0),
            'color': signed(partial(tones.colour, **order), 0.99),
            'posterize': Policy(tones.posterize_to_nearest, 8, 2),
            'contrast': signed(partial(tones.contrast, **order), 0.99),
            'brightness': signed(tones.brightness, 0.99),
            'sharpness': signed(tones.sharpness, 0.99),
            'shear_x': warp('shear', 'horizontal', 0.99),
            'shear_y': warp('shear', 'vertical', 0.99),
            'translate_x': warp('shift', 'horizontal', self.max_translate),
            'translate_y': warp('shift', 'vertical', self.max_translate),
        }

    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> PolicyParams:
        """Return the operation of each image and its strength.

        Args:
            numbers: float64 of shape (B, 3) in [0, 1).
            shape: (height, width) of the images.
        """
        choice, level, sign = numbers.T[:, :, None]  # each (B, 1)
        level = np.floor(level * (HIGHEST_LEVEL + 1)) / HIGHEST_LEVEL
        return choose(self.policies, choice, level, np.zeros_like(choice), sign)

    def __repr__(self) -> str:
        return (
            f'BatchTrivialAugment(pad_val={self.pad_val}, interpolation={self.interpolation!r}, '
            f'max_translate={self.max_translate}, channel_order={self.channel_order!r})'
        )
