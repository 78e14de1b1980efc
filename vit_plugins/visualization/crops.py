"""Measure what a random crop keeps of an image and its objects, with boxes and no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import RandomResizedCrop

from ..datasets.transforms.simple_random_crop import SimpleRandomCrop


@dataclass(frozen=True)
class Crop:
    """The part of an image that a crop shows.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the image, x2 and y2 excluded.
        stretch: Width over height of what was square; above 1 things look wider than they are.
    """

    box: tuple[float, float, float, float]
    stretch: float


def sample_crop(transform: BaseTransform, height: int, width: int) -> Crop:
    """Sample a crop as a transform does in training, and return its box.

    Args:
        transform: A ``RandomResizedCrop`` of the host or a ``SimpleRandomCrop``.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: If the transform is of another type.
    """
    if isinstance(transform, SimpleRandomCrop):
        return crop_of(transform, transform.sample(height, width), height, width)
    if isinstance(transform, RandomResizedCrop):
        image = np.broadcast_to(np.uint8(0), (height, width, 3))  # one byte; its shape is read
        return crop_of(transform, transform.rand_crop_params(image), height, width)
    raise ValueError(f'RandomResizedCrop or SimpleRandomCrop is needed, got {transform}')


def crop_of(transform: BaseTransform, params: Any, height: int, width: int) -> Crop:
    """Return the box of a crop that a transform has sampled.

    Args:
        transform: The transform, as in :func:`sample_crop`.
        params: The parameters that its random method returned.
        height: Height of the image.
        width: Width of it.
    """
    if isinstance(transform, SimpleRandomCrop):
        scaled_height, scaled_width = params.scaled_shape
        stretch = (scaled_width / width) / (scaled_height / height)
        return Crop(params.source_box(height, width), stretch)
    top, left, crop_height, crop_width = params
    out_height, out_width = transform.scale
    box = (float(left), float(top), float(left + crop_width), float(top + crop_height))
    return Crop(box, (out_width / crop_width) / (out_height / crop_height))


def kept_share(crops: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Compute the share of the area of a box that lies within a crop.

    >>> kept_share(np.array([0, 0, 50, 100]), np.array([[25, 0, 75, 10], [60, 0, 90, 9]]))
    array([0.5, 0. ])

    Args:
        crops: Boxes (x1, y1, x2, y2), shape (..., 4).
        boxes: The same, of positive area; both are broadcast.

    Returns:
        Shares from 0 to 1.
    """
    crops, boxes = np.asarray(crops, float), np.asarray(boxes, float)
    low = np.maximum(crops[..., :2], boxes[..., :2])
    high = np.minimum(crops[..., 2:], boxes[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def describe_crop(crop: Crop, height: int, width: int) -> str:
    """Write the share of the image and the change of proportions in two lines.

    Args:
        crop: The crop.
        height: Height of the image.
        width: Width of it.
    """
    share = float(kept_share(np.array(crop.box), np.array([0, 0, width, height])))
    factor = max(crop.stretch, 1 / crop.stretch)
    looks = 'wide' if crop.stretch > 1 else 'tall'
    change = 'proportions kept' if factor < 1.005 else f'{factor:.2f} x as {looks}'
    return f'{share:.0%} of the image\n{change}'
