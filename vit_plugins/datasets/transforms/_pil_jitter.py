"""Pillow's solarize and colour enhancements for 8-bit BGR images, computed with OpenCV."""

from collections.abc import Sequence

import cv2
import numpy as np

# OpenCV rounds to the nearest level, Pillow truncates. OpenCV's result minus one half, rounded,
# is the truncated one. The offset is a little smaller than one half, so that a whole number is
# never rounded down to the next lower level.
TRUNCATE = -0.49995


def to_grey(img: np.ndarray) -> np.ndarray:
    """Compute the grey image of a BGR image as Pillow's mode ``L``, shape (H, W).

    Args:
        img: uint8 image of shape (H, W, 3), or of shape (H, W), which is returned as it is.
    """
    return img if img.ndim == 2 else cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)


def solarize(img: np.ndarray, threshold: int = 128) -> np.ndarray:
    """Invert all levels that are at least as high as a threshold.

    >>> solarize(np.array([[127, 128, 255]], np.uint8)).tolist()
    [[127, 127, 0]]

    Args:
        img: uint8 image of any shape.
        threshold: The lowest level that is inverted.
    """
    if threshold == 128:  # the inverted level is then the lower one of the two
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
        factor: Weight of the image. Above 1 the result moves away from ``other``.
        out: Memory for the result, which may be that of one of the two images. Default: new
            memory.
    """
    if round(factor, 4) == factor:
        # With a factor as people write it, many results are whole numbers, and rounding in
        # float32 decides about the level: 90 * 1.3 is 116.99999 here. These are computed exactly
        # as Pillow does, which is slower.
        other = np.float32(other)
        return (other + np.float32(factor) * (img - other)).clip(0, 255).astype(np.uint8)
    if isinstance(other, int):
        added = (1 - factor) * other
        if factor >= 0 and added >= 0:  # this faster function would drop the sign of a result
            return cv2.convertScaleAbs(img, out, factor, added + TRUNCATE)
        return cv2.addWeighted(img, factor, img, 0, added + TRUNCATE, out)
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
    grey = to_grey(img)
    return blend(img, int(cv2.sumElems(grey)[0] / grey.size + 0.5), factor, out)


def saturation(img: np.ndarray, factor: float, out: np.ndarray | None = None) -> np.ndarray:
    """Blend with the grey image. An image of one channel is returned as it is.

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
        jitter: Names and factors, in the order in which they are applied.

    Returns:
        Image of the same shape, or the same array if nothing changes.
    """
    out = None  # never write to the caller's image; later steps write to the first result
    for name, factor in jitter:
        adjusted = ADJUSTMENTS[name](img, factor, out)
        out = out if adjusted is img else adjusted
        img = adjusted
    return img
