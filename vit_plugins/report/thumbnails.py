"""Make small pictures for a page, as many and as large as a number of bytes allows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from ..visualization.sheets import fit_into
from .shown_images import ShownImage

LEVELS = ((112, 70), (96, 65), (80, 60), (64, 55), (48, 50))  # side in pixels, quality
TINY = 16  # pixels; images up to this size stay exact, as each pixel is visible
SAMPLE = 16  # images from which the level is chosen
SPARE = 1.1  # margin, as images outside the sample may be larger


@dataclass(frozen=True)
class Thumbnail:
    """A picture within a page.

    Attributes:
        address: The value of ``<img src>``, which contains the picture itself.
        width: In pixels.
        height: In pixels.
    """

    address: str
    width: int
    height: int


def thumbnail(image: ShownImage, side: int, quality: int = 72) -> Thumbnail:
    """Return an image as a WebP file in a data address; it is never enlarged.

    Args:
        image: The image.
        side: The longer side, in pixels.
        quality: Quality of the compression, up to 100. Images of up to 16 pixels lose nothing.
    """
    return embed(image.picture(side), side, quality)


def embed(picture: Image.Image, side: int, quality: int = 72) -> Thumbnail:
    """Return a picture as a WebP file in a data address; it is never enlarged.

    Args:
        picture: RGB.
        side: The longer side, in pixels.
        quality: Quality of the compression, up to 100. Pictures of up to 16 pixels lose nothing.
    """
    if max(picture.size) > side:
        picture = fit_into(picture, side)
    file = BytesIO()
    picture.save(file, 'WEBP', quality=quality, lossless=max(picture.size) <= TINY, method=4)
    data = base64.b64encode(file.getvalue()).decode('ascii')
    return Thumbnail(f'data:image/webp;base64,{data}', *picture.size)


def thumbnails_within(images: Sequence[ShownImage], budget: int) -> dict[str, Thumbnail]:
    """Return thumbnails of the same size that together take no more than a number of bytes.

    They have the largest size at which all images fit. If they do not fit even at the smallest
    size, the last images are left out.

    Args:
        images: The images, the most important first.
        budget: Bytes of all addresses together.

    Returns:
        Thumbnails by the key of the image.
    """
    unique = list({image.key: image for image in images}.values())
    side, quality = _level(unique, budget)
    found: dict[str, Thumbnail] = {}
    for image in unique:
        made = thumbnail(image, side, quality)
        budget -= len(made.address)
        if budget < 0:
            break
        found[image.key] = made
    return found


def _level(images: Sequence[ShownImage], budget: int) -> tuple[int, int]:
    """Choose the first level at which all images fit, judged by a sample of them."""
    sample = images[:: max(len(images) // SAMPLE, 1)]
    pictures = [image.picture(LEVELS[0][0]) for image in sample]
    for side, quality in LEVELS:
        size = sum(len(embed(picture, side, quality).address) for picture in pictures)
        if size * SPARE * len(images) <= budget * max(len(pictures), 1):
            return side, quality
    return LEVELS[-1]
