"""Check the images of transforms, and arrange their memory for OpenCV and torch."""

import cv2
import numpy as np


def check_image(img: np.ndarray, name: str) -> None:
    """Check that an array is an 8-bit image of one or three channels.

    Args:
        img: The candidate.
        name: The name of the transform, for the message.

    Raises:
        TypeError: If it is no array of uint8.
        ValueError: If its shape is none of (H, W), (H, W, 1) and (H, W, 3), or it has no pixel.
    """
    if not isinstance(img, np.ndarray) or img.dtype != np.uint8:
        got = getattr(img, 'dtype', type(img).__name__)
        raise TypeError(
            f'{name} takes images as numpy arrays of uint8, got {got}; '
            'put it before any conversion to float or to a tensor'
        )
    if img.ndim not in (2, 3) or img.shape[2:] not in ((), (1,), (3,)) or 0 in img.shape:
        raise ValueError(
            f'{name} takes images of shape (H, W), (H, W, 1) or (H, W, 3), got {img.shape}'
        )


def lay_out(img: np.ndarray) -> np.ndarray:
    """Return the image in memory whose strides are positive and whose pixels are packed.

    The host's ``RandomFlip`` returns a view with a negative stride. NumPy copies such a view
    pixel by pixel; OpenCV's flip of the array behind the view is some thirty times faster.

    Args:
        img: Image of shape (H, W) or (H, W, C), with any strides.

    Returns:
        The same pixels; the array itself, or a part of rows, where nothing has to be copied.
    """
    mirrored = [axis for axis in (0, 1) if img.strides[axis] < 0]
    for axis in mirrored:
        img = np.flip(img, axis)
    channels = img.shape[2] if img.ndim == 3 else 1
    packed = img.strides[1] == channels and img.strides[-1] == 1 and img.strides[0] > 0
    if not packed:
        img = img.copy()  # ascontiguousarray leaves the stride of an axis of one as it is
    if not mirrored:
        return img
    code = -1 if len(mirrored) == 2 else mirrored[0]
    return cv2.flip(img, code).reshape(img.shape)  # OpenCV drops a channel axis of one
