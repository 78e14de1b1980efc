"""Pillow's Gaussian blur, computed with one separable filter."""

import math

import cv2
import numpy as np


def box_kernel(radius: float, passes: int = 3) -> np.ndarray:
    """Return the extended box that Pillow applies several times for a Gaussian blur.

    Gwosdek et al., "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering",
    2011: a box of 2l+1 full taps and two fractional taps, whose variance is exactly r² / passes.

    >>> box_kernel(1.0).round(3).tolist()
    [0.167, 0.667, 0.167]

    Args:
        radius: Standard deviation of all passes together, in pixels.
        passes: How often the box is applied.

    Returns:
        Float64 of shape (2l+3,), summing to 1.
    """
    variance = radius**2 / passes
    half = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)  # l
    outer = (2 * half + 1) * (half * (half + 1) - 3 * variance)
    outer /= 6 * (variance - (half + 1) ** 2)
    kernel = np.ones(2 * half + 3)
    kernel[[0, -1]] = outer
    return kernel / kernel.sum()


def blur_kernel(radius: float) -> np.ndarray:
    """Compute the one kernel that equals Pillow's three boxes in a row.

    Outer taps are left out as long as together they change no level by one. 3 taps remain for
    the smallest radii, 11 for a radius of 2.

    Args:
        radius: Standard deviation in pixels.
    """
    box = box_kernel(radius)
    kernel = np.convolve(np.convolve(box, box), box)
    skipped = int(kernel.cumsum().searchsorted(1 / 512))
    kernel = kernel[skipped : len(kernel) - skipped]
    return (kernel / kernel.sum()).astype(np.float32)


def pil_blur(img: np.ndarray, radius: float) -> np.ndarray:
    """Blur as ``PIL.ImageFilter.GaussianBlur(radius)`` does, in one pass instead of six.

    Pillow rounds to 8 bits after each pass and repeats the edge pixel before each pass. The
    results therefore differ by at most 3 grey levels, and by a few more within 8 pixels of the
    border.

    Args:
        img: uint8 image of shape (H, W) or (H, W, C).
        radius: Standard deviation in pixels; with 0 the image is returned as it is.
    """
    if radius == 0:
        return img
    kernel = blur_kernel(radius)
    return cv2.sepFilter2D(img, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
