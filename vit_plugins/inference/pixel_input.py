"""Convert pixels that a program already has to the form that the file loader returns."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any, TypeAlias

import cv2
import numpy as np
import PIL.Image
from PIL import ImageOps

from ..datasets.photo_decoding import decode_photo

# a file, an address, an RGB array (H, W, 3) of uint8 or a PIL image
Image: TypeAlias = str | os.PathLike | np.ndarray | PIL.Image.Image
EXACT_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16', 'I')  # PNG keeps these modes unchanged


def loaded_pixels(image: np.ndarray | PIL.Image.Image, *, grey: bool = False) -> dict[str, Any]:
    """Return the entries that ``LoadPhoto`` would add for a file with these pixels.

    Args:
        image: An RGB array (H, W, 3) of uint8, or a PIL image. Like a file, a PIL image is turned
            upright and put on white where it is transparent.
        grey: Whether the model takes images of one channel.

    Raises:
        ValueError: If an array has another form, or a PIL image a mode without colours.
        TypeError: If the image is neither of them.
    """
    if isinstance(image, PIL.Image.Image):
        pixels = _pixels_of_pillow(image, grey)
    elif isinstance(image, np.ndarray):
        pixels = _pixels_of_array(image, grey)
    else:
        raise TypeError(
            f'an image is a path, an RGB array (H, W, 3) of uint8 or a PIL image, got a '
            f'{type(image).__name__}'
        )
    return {'img': pixels, 'img_shape': pixels.shape[:2], 'ori_shape': pixels.shape[:2]}


def _pixels_of_array(image: np.ndarray, grey: bool) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'an array must be an RGB image (H, W, 3) of uint8, got {image.shape} of '
            f'{image.dtype}: pass a PIL image or a file for other kinds'
        )
    if grey:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # (H, W)
    return np.ascontiguousarray(image[..., ::-1])  # RGB -> BGR, as files are read


def _pixels_of_pillow(image: PIL.Image.Image, grey: bool) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode == 'RGB':
        return _pixels_of_array(np.asarray(image), grey)
    if image.mode == 'F':
        raise ValueError('a PIL image of mode F has no known range: convert it to RGB or L')
    file = BytesIO()
    if image.mode not in EXACT_MODES:  # CMYK, YCbCr and the like
        image = image.convert('RGB')
    image.save(file, 'PNG', compress_level=0)
    return decode_photo(file.getvalue(), grey=grey)[0]
