"""Blend a map over an image, as an array for pages, which need no figure around it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .attention import stretched

LEAST_SIDE = 128  # smaller images are enlarged, so that the map is smooth
HEAT = 0.6  # weight of the map's colours


def image_beside_map(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return an image with a copy to its right, over which a map is blended.

    Args:
        image: RGB (H, W, 3), uint8.
        values: The map (H', W'), stretched from its smallest to its largest value.

    Returns:
        RGB (s H, 2 s W, 3), uint8; s is 1 for images of 128 pixels or more.
    """
    from matplotlib import colormaps

    scale = -(-LEAST_SIDE // max(image.shape[:2]))
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    size = image.shape[1], image.shape[0]
    heat = Image.fromarray(np.uint8(255 * stretched(values)))
    heat = np.asarray(heat.resize(size, Image.Resampling.BILINEAR))
    coloured = colormaps['inferno'](heat)[..., :3] * 255  # (H, W, 3)
    grey = image.mean(axis=2, keepdims=True)
    covered = np.uint8(np.rint(HEAT * coloured + (1 - HEAT) * grey))
    return np.concatenate([image, covered], axis=1)
