"""Operations of AutoAugment's family that change levels but do not move pixels.

All take a uint8 batch of shape (B, C, H, W) and a strength for each image, float32 of shape (B,),
and return uint8 of the same shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._colours import blend_, grey, mean_level, per_image
from ._colours import solarize as solarized
from ._windows import reflected


def auto_contrast(images: Tensor, strength: Tensor) -> Tensor:
    """Stretch the levels of each channel to 0 to 255; a constant channel does not change.

    Args:
        images: The batch.
        strength: Not used.
    """
    levels = images.float()
    low, high = levels.amin((2, 3), keepdim=True), levels.amax((2, 3), keepdim=True)
    stretched = ((levels - low) * 255 / (high - low)).floor_()
    return torch.where(high > low, stretched, levels).to(torch.uint8)


def equalize(images: Tensor, strength: Tensor) -> Tensor:
    """Equalize the histogram of each channel, as ``PIL.ImageOps.equalize`` does.

    Args:
        images: The batch.
        strength: Not used.
    """
    lines = images.flatten(2).flatten(0, 1).long()  # (B * C, H * W)
    counts = _histograms(lines)  # (B * C, 256)
    last = 255 - (counts.flip(1) > 0).int().argmax(1, keepdim=True)  # the highest level there is
    step = (lines.shape[1] - counts.gather(1, last)) // 255
    below = counts.cumsum(1) - counts
    table = (below + step // 2) // step.clamp(min=1)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device)).clamp(max=255)
    return table.gather(1, lines).to(torch.uint8).view(images.shape)


def _histograms(lines: Tensor) -> Tensor:
    start = torch.arange(len(lines), device=lines.device)[:, None] * 256
    counts = torch.zeros(len(lines) * 256, dtype=torch.int64, device=lines.device)
    places = (lines + start).flatten()  # with one axis this is deterministic on a GPU as well
    return counts.scatter_add_(0, places, torch.ones_like(places)).view(-1, 256)


def invert(images: Tensor, strength: Tensor) -> Tensor:
    """Return the negative.

    Args:
        images: The batch.
        strength: Not used.
    """
    return 255 - images


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the highest bits of each level.

    Args:
        images: The batch.
        strength: The number of bits that are kept, rounded up.
    """
    lost = 8 - strength.ceil().int()
    masks = 256 - (torch.ones_like(lost) << lost)
    return images & per_image(masks.to(torch.uint8))


def posterize_to_nearest(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the highest bits of each level.

    Args:
        images: The batch.
        strength: The number of bits that are kept, rounded to the nearest whole number.
    """
    return posterize(images, strength.round())


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Invert all levels that are at least as high as a threshold.

    Args:
        images: The batch.
        strength: The threshold.
    """
    return solarized(images, strength)


def solarize_add(images: Tensor, strength: Tensor, threshold: float = 128) -> Tensor:
    """Brighten the levels below a threshold.

    Args:
        images: The batch.
        strength: The number that is added to the levels.
        threshold: The lowest level that does not change.
    """
    brighter = (images + per_image(strength)).clamp(0, 255).to(torch.uint8)
    return torch.where(images < threshold, brighter, images)


def brightness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with black.

    Args:
        images: The batch.
        strength: The weight of the image, less 1.
    """
    return blend_(images.float(), 0, 1 + strength).to(torch.uint8)


def contrast(images: Tensor, strength: Tensor, channel_order: str = 'bgr') -> Tensor:
    """Blend with the mean of the grey image.

    Args:
        images: The batch.
        strength: The weight of the image, less 1.
        channel_order: 'bgr' or 'rgb'.
    """
    levels = images.float()
    return blend_(levels, mean_level(grey(levels, channel_order)), 1 + strength).to(torch.uint8)


def colour(images: Tensor, strength: Tensor, channel_order: str = 'bgr') -> Tensor:
    """Blend with the grey image.

    Args:
        images: The batch.
        strength: The weight of the image, less 1.
        channel_order: 'bgr' or 'rgb'.
    """
    levels = images.float()
    return blend_(levels, grey(levels, channel_order), 1 + strength).to(torch.uint8)


def sharpness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with the image smoothed over 3 x 3 pixels; the edges are reflected as in OpenCV.

    Args:
        images: The batch.
        strength: The weight of the image, less 1.
    """
    levels = images.float()
    rows, columns = (
        reflected(torch.arange(-1, side + 1, device=images.device), side)
        for side in images.shape[2:]
    )
    padded = levels.index_select(2, rows).index_select(3, columns)  # (B, C, H + 2, W + 2)
    height, width = images.shape[2:]
    wide = sum(padded[..., right : right + width] for right in range(3))  # (B, C, H + 2, W)
    total = 4 * levels + sum(wide[:, :, down : down + height] for down in range(3))
    smooth = (total / 13 + 0.5).floor_()
    return blend_(levels, smooth, 1 + strength).to(torch.uint8)
