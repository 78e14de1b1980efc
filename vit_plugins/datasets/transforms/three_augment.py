"""3-Augment: the light augmentation of DeiT III."""

# ruff: noqa: NPY002  (the host seeds NumPy's global stream, differently for each worker)

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, permutations
from numbers import Real

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpretrain.registry import TRANSFORMS

from ._image_array import check_image, lay_out
from ._pil_blur import pil_blur
from ._pil_jitter import adjust, solarize, to_grey

MEMBERS = ('grayscale', 'solarize', 'blur')
# flip_direction before and after one more horizontal flip
MIRRORED = {
    None: 'horizontal',
    'horizontal': None,
    'vertical': 'diagonal',
    'diagonal': 'vertical',
}
ORDERS = tuple(permutations(('brightness', 'contrast', 'saturation')))


@dataclass(frozen=True)
class ThreeAugmentParams:
    """The sampled parameters of one image.

    Args:
        member: The chosen operation: 'grayscale', 'solarize', 'blur', 'identity', or the type of
            a transform of the host.
        threshold: The lowest level that solarize inverts; None for other members.
        radius: The standard deviation of the blur in pixels; None for other members.
        jitter: Names and factors of the colour jitter, in the order in which they are applied.
        flip: Whether the image is first flipped horizontally.
    """

    member: str = 'identity'
    threshold: int | None = None
    radius: float | None = None
    jitter: tuple[tuple[str, float], ...] = ()
    flip: bool = False


def three_augment(img: np.ndarray, params: ThreeAugmentParams) -> np.ndarray:
    """Apply the sampled parameters: the flip, the member, then the colour jitter.

    Args:
        img: uint8 image in BGR of shape (H, W, 3), or of one channel (H, W) or (H, W, 1), with
            any strides.
        params: The sampled parameters.

    Returns:
        Image of the same shape. Grayscale and saturation do not change an image of one channel.
        The input is never modified.

    Raises:
        TypeError: If the image is not an array of uint8.
        ValueError: If its shape is not one of the three, or the member is not known.
    """
    check_image(img, 'ThreeAugment')
    shape = img.shape
    img = lay_out(img[:, ::-1] if params.flip else img)
    img = img[:, :, 0] if shape[2:] == (1,) else img
    if params.member == 'grayscale':
        img = to_grey(img)  # the jitter then works on one channel
    elif params.member == 'solarize':
        img = solarize(img, params.threshold)
    elif params.member == 'blur':
        img = pil_blur(img, params.radius)
    elif params.member != 'identity':
        raise ValueError(
            f'member must be one of {(*MEMBERS, "identity")}, got {params.member!r}; '
            'for a transform of the host call ThreeAugment.apply'
        )
    return in_planes(adjust(img, params.jitter), shape)


def in_planes(img: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of an image whose memory holds one channel after the other.

    ``PackInputs`` turns (H, W, C) into (C, H, W). With this order of memory it has nothing to
    copy, and the channels of a grey image need not be interleaved first.

    Args:
        img: Image of shape (H, W) or (H, W, 3).
        shape: Shape of the result, (H, W) or (H, W, C). A single channel is repeated C times.
    """
    if len(shape) == 2:
        return img
    planes = np.empty((shape[2], *shape[:2]), np.uint8)  # (C, H, W)
    if img.ndim == 2:
        planes[:] = img
    else:
        cv2.split(img, list(planes))
    return planes.transpose(1, 2, 0)  # (H, W, C)


@TRANSFORMS.register_module()
class ThreeAugment(BaseTransform):
    """Apply exactly one of grayscale, solarize and blur to each image, then colour jitter.

    Touvron et al., "DeiT III: Revenge of the ViT", ECCV 2022, arXiv 2204.07118, section 3; the
    default values are those of the official code. Pixels differ from those of its Pillow
    transforms by less than 0.01 grey levels on average, after a blur by 0.4. In a pipeline, this
    transform stands after the crop and directly before ``PackInputs``.

    Required and modified key: ``img``, uint8, BGR or one channel.

    Args:
        members: The operations from which one is chosen for each image: 'grayscale', 'solarize',
            'blur', 'identity' (no change), or the config of any transform that needs only
            ``img``. With () there is only the colour jitter.
        weights: The relative frequency of each member. Default: all are equally frequent.
        color_jitter: j. The factors of brightness, contrast and saturation are sampled from
            [max(0, 1-j), 1+j] and applied in random order. With None or 0 there is no jitter.
        solarize_threshold: The lowest level that solarize inverts.
        blur_radius: Range of the blur's standard deviation in pixels.
        flip_prob: The probability that the image is flipped horizontally before all else. This
            replaces the host's ``RandomFlip`` and saves its time. The keys ``flip`` and
            ``flip_direction`` are then written as well.

    Raises:
        ValueError: If a member is not known or is named twice, if the weights do not fit the
            members, or if another argument is out of its range.
    """

    def __init__(
        self,
        members: Sequence[str | dict] = MEMBERS,
        weights: Sequence[float] | None = None,
        color_jitter: float | None = 0.3,
        solarize_threshold: int = 128,
        blur_radius: tuple[float, float] = (0.1, 2.0),
        flip_prob: float = 0.0,
    ) -> None:
        if isinstance(members, str):
            raise ValueError(
                f'members must be a list of names, got {members!r}; write [{members!r}]'
            )
        configs = [m for m in members if isinstance(m, dict)]
        self.others = {m.get('type'): TRANSFORMS.build(m) for m in configs}
        self.members = tuple(m['type'] if isinstance(m, dict) else m for m in members)
        self.weights = weights if weights is None else tuple(weights)
        self.color_jitter = color_jitter
        self.solarize_threshold = solarize_threshold
        self.blur_radius = tuple(np.atleast_1d(blur_radius).tolist())
        self.flip_prob = flip_prob
        self._check()
        self._upper = list(accumulate(self.weights or (1,) * len(self.members)))

    def _check(self) -> None:
        known = (*MEMBERS, 'identity', *self.others)
        for member in self.members:
            if member not in known:
                raise ValueError(f'members must be among {known} or configs, got {member!r}')
        if len(set(self.members)) < len(self.members):
            raise ValueError(
                f'each member may be named once, got {self.members}; use weights, or RandomChoice '
                'for one transform with several settings'
            )
        if self.weights is not None and (
            len(self.weights) != len(self.members)
            or min(self.weights, default=0) < 0
            or sum(self.weights) <= 0
        ):
            raise ValueError(
                f'weights must be {len(self.members)} numbers, one per member, none negative and '
                f'not all zero, got {self.weights}'
            )
        jitter = 0 if self.color_jitter is None else self.color_jitter
        if not isinstance(jitter, Real) or not jitter >= 0:
            raise ValueError(f'color_jitter must be None or at least 0, got {self.color_jitter}')
        if not 0 <= self.solarize_threshold <= 256:
            raise ValueError(
                f'solarize_threshold must lie between 0 and 256, got {self.solarize_threshold}'
            )
        if len(self.blur_radius) != 2 or not 0 <= self.blur_radius[0] <= self.blur_radius[1]:
            raise ValueError(
                f'blur_radius must be (lowest, highest) with 0 <= lowest, got {self.blur_radius}'
            )
        if not 0 <= self.flip_prob <= 1:
            raise ValueError(f'flip_prob must lie between 0 and 1, got {self.flip_prob}')

    @cache_randomness
    def sample(self) -> ThreeAugmentParams:
        """Sample the parameters of one image from NumPy's global stream, as the host does.

        The stream advances by seven numbers, whatever the settings and the outcome.
        """
        choice, radius, order, flip, *factors = np.random.rand(7).tolist()
        member = 'identity'
        if self.members:
            member = self.members[bisect(self._upper, choice * self._upper[-1])]
        low, high = self.blur_radius
        jitter = ()
        if self.color_jitter:
            least = max(0.0, 1 - self.color_jitter)
            width = 1 + self.color_jitter - least
            names = ORDERS[int(order * len(ORDERS))]
            factors = (least + width * u for u in factors)
            jitter = tuple(zip(names, factors, strict=True))
        return ThreeAugmentParams(
            member,
            self.solarize_threshold if member == 'solarize' else None,
            low + (high - low) * radius if member == 'blur' else None,
            jitter,
            flip < self.flip_prob,
        )

    def apply(self, img: np.ndarray, params: ThreeAugmentParams) -> np.ndarray:
        """Apply the sampled parameters; the member may be a transform of the host.

        Args:
            img: See :func:`three_augment`.
            params: The sampled parameters.
        """
        if params.member in self.others:
            check_image(img, 'ThreeAugment')
            img = lay_out(img[:, ::-1] if params.flip else img)
            img = self.others[params.member]({'img': img.copy()})['img']  # it may modify its input
            params = replace(params, member='identity', flip=False)
        return three_augment(img, params)

    def transform(self, results: dict) -> dict:
        """Augment the image.

        Args:
            results: With ``img``.
        """
        params = self.sample()
        results['img'] = self.apply(results['img'], params)
        if self.flip_prob:
            before = results.get('flip_direction') if results.get('flip') else None
            direction = MIRRORED[before] if params.flip else before
            results.update(flip=direction is not None, flip_direction=direction)
        return results

    def __repr__(self) -> str:
        members = tuple(self.others.get(member, member) for member in self.members)
        return (
            f'ThreeAugment(members={members}, weights={self.weights}, '
            f'color_jitter={self.color_jitter}, solarize_threshold={self.solarize_threshold}, '
            f'blur_radius={self.blur_radius}, flip_prob={self.flip_prob})'
        )
