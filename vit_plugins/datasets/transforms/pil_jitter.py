"""Pillow's solarize and colour enhancements on 8-bit BGR images, by tables where possible."""

from collections.abc import Sequence

import cv2
import numpy as np

LEVELS = np.arange(256, dtype=np.uint8)


def solarize_table(threshold: int = 128) -> np.ndarray:
    """Return the table that inverts levels from the threshold on.

    >>> solarize_table()[[127, 128, 255]].tolist()
    [127, 127, 0]

    Args:
        threshold: The lowest level that is inverted.
    """
    return np.where(threshold > LEVELS, LEVELS, ~LEVELS)


def blend_table(factor: float, constant: int = 0) -> np.ndarray:
    """Return the table of ``Image.blend`` of a constant image with the image.

    Single precision, clipped, then truncated, all as Pillow does.

    Args:
        factor: Weight of the image; above 1 it leads away from the constant.
        constant: Level of the other image; 0 makes this brightness.
    """
    centre = np.float32(constant)
    levels = centre + np.float32(factor) * (LEVELS.astype(np.float32) - centre)
    return levels.clip(0, 255).astype(np.uint8)


def to_grey(img: np.ndarray) -> np.ndarray:
    """Give Pillow's ``L`` of a BGR image, shape (H, W); an image of one channel is its own.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3).
    """
    return img if img.ndim == 2 else cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)


def saturate(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend a BGR image with its own grey.

    Args:
        img: uint8 image of shape (H, W, 3).
        factor: Weight of the image.
    """
    grey = cv2.cvtColor(to_grey(img), cv2.COLOR_GRAY2BGR)
    # OpenCV rounds where Pillow truncates; the offset makes the one out of the other
    return cv2.addWeighted(img, factor, grey, 1 - factor, -0.499)


def adjust(
    img: np.ndarray, jitter: Sequence[tuple[str, float]], table: np.ndarray | None = None
) -> np.ndarray:
    """Apply a table, then brightness, contrast and saturation in the given order.

    Tables that follow one another are merged, so that the image is read once for all of them.

    Args:
        img: uint8 image of shape (H, W) or (H, W, 3), in BGR.
        jitter: Names and factors, in order. One channel has no saturation to change.
        table: 256 levels to begin with, such as those of solarize.

    Returns:
        Image of the same shape; the same array if there is nothing to do.
    """
    for name, factor in jitter:
        if name == 'saturation' and img.ndim == 2:
            continue
        if name != 'brightness':  # these two look at the image as it is now
            img, table = look_up(img, table), None
        if name == 'saturation':
            img = saturate(img, factor)
            continue
        centre = int(cv2.mean(to_grey(img))[0] + 0.5) if name == 'contrast' else 0
        step = blend_table(factor, centre)
        table = step if table is None else step[table]
    return look_up(img, table)


def look_up(img: np.ndarray, table: np.ndarray | None) -> np.ndarray:
    """Replace each level by its entry in the table, if there is a table.

    Args:
        img: uint8 image.
        table: 256 levels, or None.
    """
    return img if table is None else cv2.LUT(img, table)
