"""Crop an image to a given box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS


def crop_to_box(img: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Return the rectangle between two corners.

    Corners are rounded to whole pixels, half to even, as Pillow's ``crop`` does. The result ends
    where the image ends.

    Args:
        img: Image of shape (H, W) or (H, W, C).
        box: (x1, y1, x2, y2) in pixels, x2 and y2 excluded.

    Returns:
        A copy of the pixels in the rectangle.

    Raises:
        ValueError: If the rectangle contains no pixel of the image.
    """
    height, width = img.shape[:2]
    x1, y1, x2, y2 = (round(float(edge)) for edge in box)
    part = img[max(y1, 0) : max(min(y2, height), 0), max(x1, 0) : max(min(x2, width), 0)]
    if not part.size:
        raise ValueError(
            f'the box {tuple(box)} contains no pixel of the image of {width} x {height} pixels; '
            'CropToBox must stand before any resizing'
        )
    return part.copy()


@TRANSFORMS.register_module()
class CropToBox(BaseTransform):
    """Crop an image to its box, if it has one.

    In Revisited Oxford and Paris, only the box of a query image is searched for. Images of the
    gallery have no box and use the same pipeline. The transform must stand before any resizing.

    Required key: ``img``. Modified keys: ``img``, ``img_shape``, ``ori_shape``. The key of the
    box is removed.

    Args:
        key: The key of the box, (x1, y1, x2, y2).
    """

    def __init__(self, key: str = 'crop_box') -> None:
        self.key = key

    def transform(self, results: dict) -> dict:
        """Crop the image.

        Args:
            results: With ``img``, and with the box if the image has one.

        Raises:
            ValueError: If the box contains no pixel of the image.
        """
        box = results.pop(self.key, None)
        if box is not None:
            try:
                results['img'] = crop_to_box(results['img'], box)
            except ValueError as error:
                raise ValueError(f'{results.get("img_path", "an image")}: {error}') from None
            results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'CropToBox(key={self.key!r})'
