"""Simple random crop (SRC): the crop of DeiT III for ImageNet-21k."""

# ruff: noqa: NPY002  (the host seeds NumPy's global stream, differently for each worker)

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpretrain.registry import TRANSFORMS

from ._antialiased_resize import BACKENDS, antialiased_resize
from ._image_array import check_image, lay_out

AXES = ('both', 'x')


@dataclass(frozen=True)
class SimpleRandomCropParams:
    """The sampled parameters of one image.

    Args:
        scaled_shape: (height, width) to which the image is resized.
        padding: Number of reflected pixels that are added on each side.
        top: First row of the crop in the resized and padded image.
        left: First column of the crop in the resized and padded image.
        size: Side of the crop in pixels.
    """

    scaled_shape: tuple[int, int]
    padding: int
    top: int
    left: int
    size: int

    def source_box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return the box of the source image that the crop shows, without reflected pixels.

        Args:
            height: Height of the source image.
            width: Width of the source image.

        Returns:
            (x1, y1, x2, y2) in pixels of the source image, x2 and y2 excluded.
        """
        scale_y, scale_x = height / self.scaled_shape[0], width / self.scaled_shape[1]
        y, x = self.top - self.padding, self.left - self.padding
        return (
            max(x, 0) * scale_x,
            max(y, 0) * scale_y,
            min(x + self.size, self.scaled_shape[1]) * scale_x,
            min(y + self.size, self.scaled_shape[0]) * scale_y,
        )


def require_crop(crop_size: int, padding: int, axes: str) -> None:
    """Check the settings of a simple random crop.

    Args:
        crop_size: Side of the crop in pixels.
        padding: Number of reflected pixels on each side.
        axes: Along which axes the crop moves.

    Raises:
        ValueError: If a size is out of its range, or ``axes`` is not known.
    """
    if not isinstance(crop_size, int) or crop_size < 1:
        raise ValueError(f'crop_size must be one positive integer, got {crop_size!r}')
    if not isinstance(padding, int) or padding < 0:
        raise ValueError(f'padding must be an integer of at least 0, got {padding!r}')
    if axes not in AXES:
        raise ValueError(f'axes must be one of {", ".join(AXES)}, got {axes!r}')


def scale_short_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Compute the (height, width) whose short side is ``size``; the long side is rounded down.

    >>> scale_short_side(375, 500, 224)
    (224, 298)

    Args:
        height: Height of the image.
        width: Width of the image.
        size: New length of the short side.
    """
    if width <= height:
        return int(size * height / width), size
    return size, int(size * width / height)


def reflected_window(img: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """Return a square that may extend beyond the image, where it shows the reflected image.

    The pixel at the edge is not repeated.

    Args:
        img: Image of shape (H, W) or (H, W, C).
        top: First row; negative if it lies above the image.
        left: First column; negative if it lies to the left of the image.
        size: Side of the square in pixels.

    Returns:
        Shape (size, size) or (size, size, C); a view if the square lies within the image.
    """
    height, width = img.shape[:2]
    above, below = max(-top, 0), max(top + size - height, 0)
    before, behind = max(-left, 0), max(left + size - width, 0)
    if not (above or below or before or behind):
        return img[top : top + size, left : left + size]
    channels = img.shape[2:]
    padded = cv2.copyMakeBorder(img, above, below, before, behind, cv2.BORDER_REFLECT_101)
    top, left = top + above, left + before
    return padded.reshape(*padded.shape[:2], *channels)[top : top + size, left : left + size]


def simple_random_crop(
    img: np.ndarray, params: SimpleRandomCropParams, backend: str = 'torch'
) -> np.ndarray:
    """Apply the sampled parameters: resize, then cut out the square.

    Args:
        img: uint8 image of shape (H, W), (H, W, 1) or (H, W, 3), with any strides.
        params: The sampled parameters.
        backend: How the image is resized, see :func:`antialiased_resize`.

    Returns:
        Image of shape (size, size) or (size, size, C), possibly a view of the resized image.

    Raises:
        TypeError: If the image is not an array of uint8.
        ValueError: If its shape is not one of the three.
    """
    check_image(img, 'SimpleRandomCrop')
    img = antialiased_resize(lay_out(img), params.scaled_shape, backend)
    top, left = params.top - params.padding, params.left - params.padding
    return reflected_window(img, top, left, params.size)


@TRANSFORMS.register_module()
class SimpleRandomCrop(BaseTransform):
    """Resize the short side to S, add reflected pixels, and crop S x S at a random place.

    Touvron et al., "DeiT III: Revenge of the ViT", ECCV 2022, arXiv 2204.07118, section 3. The
    steps are those of the official code. The crop shows most of the image and keeps its
    proportions: it shows 75 % of an image of 500 x 375 pixels.

    Required key: ``img``, uint8, any channel order. Modified keys: ``img``, ``img_shape``.

    Args:
        crop_size: S.
        padding: Number of reflected pixels that are added on each side.
        axes: With 'both' the crop moves along both axes, along the short axis by the padding
            only, as in the official code. With 'x' it moves along x only and is centred along y,
            as the paper says.
        backend: How the image is resized: 'torch', 'pillow' or 'cv2', see
            :func:`antialiased_resize`.

    Raises:
        ValueError: If a size is out of its range, or ``axes`` or ``backend`` is not known.
    """

    def __init__(
        self, crop_size: int, padding: int = 4, axes: str = 'both', backend: str = 'torch'
    ) -> None:
        require_crop(crop_size, padding, axes)
        if backend not in BACKENDS:
            raise ValueError(f'backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
        self.crop_size = crop_size
        self.padding = padding
        self.axes = axes
        self.backend = backend

    @cache_randomness
    def sample(self, height: int, width: int) -> SimpleRandomCropParams:
        """Sample the parameters of one image from NumPy's global stream, as the host does.

        Args:
            height: Height of the image.
            width: Width of the image.
        """
        shape = scale_short_side(height, width, self.crop_size)
        spare_y, spare_x = (side + 2 * self.padding - self.crop_size for side in shape)
        u, v = np.random.rand(2).tolist()
        top = int(u * (spare_y + 1)) if self.axes == 'both' else spare_y // 2
        left = int(v * (spare_x + 1))
        return SimpleRandomCropParams(shape, self.padding, top, left, self.crop_size)

    def transform(self, results: dict) -> dict:
        """Crop the image.

        Args:
            results: With ``img``.
        """
        check_image(results['img'], 'SimpleRandomCrop')
        params = self.sample(*results['img'].shape[:2])
        results['img'] = simple_random_crop(results['img'], params, self.backend)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'SimpleRandomCrop(crop_size={self.crop_size}, padding={self.padding}, '
            f'axes={self.axes!r}, backend={self.backend!r})'
        )
