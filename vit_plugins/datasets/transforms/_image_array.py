"""Check the images that transforms get, and arrange their memory for OpenCV and torch."""

import cv2
import numpy as np


def check_image(img: np.ndarray, name: str) -> None:
    """Check that an array is an 8-bit image of one or three channels.

    Args:
        img: The candidate.
        name: The name of the transform, for the message.

    Raises:
        TypeError: If it is not an array of uint8.
        ValueError: If its shape is not (H, W), (H, W, 1) or (H, W, 3), or if it has no pixels.
    """
    if not isinstance(img, np.ndarray) or img.dtype != np.uint8:
        got = getattr(img, 'dtype', type(img).__name__)
        raise TypeError(
            f'{name} takes images as NumPy arrays of uint8, got {got}; in the pipeline it must '
            'stand before any conversion to float or to a tensor'
        )
    if img.ndim not in (2, 3) or img.shape[2:] not in ((), (1,), (3,)) or 0 in img.shape:
        raise ValueError(
            f'{name} takes images of shape (H, W), (H, W, 1) or (H, W, 3), got {img.shape}'
        )


def lay_out(img: np.ndarray) -> np.ndarray:
    """Return the image with positive strides and with the pixels of a row side by side.

    The host's ``RandomFlip`` returns a view with a negative stride. NumPy copies such a view
    pixel by pixel. OpenCV's flip of the array behind the view is about thirty times faster.

    Args:
        img: Image of shape (H, W) or (H, W, C), with any strides.

    Returns:
        The same pixels. Where nothing has to be copied, this is the given array or a view of it.
    """
    mirrored = [axis for axis in (0, 1) if img.strides[axis] < 0]
    for axis in mirrored:
        img = np.flip(img, axis)
    channels = img.shape[2] if img.ndim == 3 else 1
    packed = img.strides[1] == channels and img.strides[-1] == 1 and img.strides[0] > 0
    if not packed:
        img = img.copy()  # ascontiguousarray does not change the stride of an axis of length 1
    if not mirrored:
        return img
    code = -1 if len(mirrored) == 2 else mirrored[0]
    return cv2.flip(img, code).reshape(img.shape)  # OpenCV drops a channel axis of length 1
