"""Pillow's solarize and colour enhancements on 8-bit BGR images, in OpenCV's arithmetic."""

from collections.abc import Sequence

import cv2
import numpy as np

# OpenCV rounds to the nearest level where Pillow truncates. One half less makes the one out of
# the other; not quite one half, since a sum that is a whole number must not lose a level to it.
TRUNCATE = -0.49995


def to_grey(img: np.ndarray) -> np.ndarray:
    """Compute Pillow's ``L`` of a BGR image, shape (H, W); an image of one channel is its own.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3).
    """
    return img if img.ndim == 2 else cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)


def solarize(img: np.ndarray, threshold: int = 128) -> np.ndarray:
    """Invert the levels from a threshold on.

    >>> solarize(np.array([[127, 128, 255]], np.uint8)).tolist()
    [[127, 127, 0]]

    Args:
        img: uint8 image of any shape.
        threshold: The lowest level that is inverted.
    """
    if threshold == 128:  # there the inverted level is the lower one of the two
        return np.minimum(img, ~img)
    return np.where(img < threshold, img, ~img)


def blend(
    img: np.ndarray, other: np.ndarray | int, factor: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Compute ``other + factor * (img - other)``, clipped and truncated, as ``Image.blend``.

    >>> blend(np.array([[0, 90, 250]], np.uint8), 0, 1.3).tolist()
    [[0, 116, 255]]

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3).
        other: Image of the same shape, or one level for all pixels.
        factor: Weight of the image; above 1 it leads away from the other one.
        out: Memory that the result may be written to; one of the images or None.
    """
    if round(factor, 4) == factor:
        # A factor as people write it often yields whole numbers, up to single precision, which
        # then decides about a level: here 90 * 1.3 is 116.99999. Hence to the letter, if slowly.
        other = np.float32(other)
        return (other + np.float32(factor) * (img - other)).clip(0, 255).astype(np.uint8)
    if isinstance(other, int):
        return cv2.addWeighted(img, factor, img, 0, (1 - factor) * other + TRUNCATE, out)
    return cv2.addWeighted(img, factor, other, 1 - factor, TRUNCATE, out)


def brightness(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Blend with black.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3).
        factor: See :func:`blend`.
        out: See :func:`blend`.
    """
    return blend(img, 0, factor, out)


def contrast(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Blend with the mean of the grey image.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3), in BGR.
        factor: See :func:`blend`.
        out: See :func:`blend`.
    """
    return blend(img, int(cv2.mean(to_grey(img))[0] + 0.5), factor, out)


def saturation(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Blend with the grey image; one channel has nothing to change.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3), in BGR.
        factor: See :func:`blend`.
        out: See :func:`blend`.
    """
    if img.ndim == 2:
        return img
    grey = cv2.cvtColor(to_grey(img), cv2.COLOR_GRAY2BGR)
    return blend(img, grey, factor, grey if out is None else out)


ADJUSTMENTS = {'brightness': brightness, 'contrast': contrast, 'saturation': saturation}


def adjust(img: np.ndarray, jitter: Sequence[tuple[str, float]]) -> np.ndarray:
    """Apply colour jitter.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3), in BGR.
        jitter: Names and factors, in the order of their application.

    Returns:
        Image of the same shape; the same array if there is nothing to do.
    """
    out = None  # the caller's image is not to be written to, the first result is
    for name, factor in jitter:
        adjusted = ADJUSTMENTS[name](img, factor, out)
        out = out if adjusted is img else adjusted
        img = adjusted
    return img
