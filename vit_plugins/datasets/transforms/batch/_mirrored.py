"""Flip some images of a batch."""

from __future__ import annotations

from torch import Tensor

DIRECTIONS = {'horizontal': -1, 'vertical': -2}


def mirrored(images: Tensor, chosen: Tensor, direction: str = 'horizontal') -> Tensor:
    """Return a batch in which the chosen images are flipped.

    Args:
        images: Shape (B, C, H, W).
        chosen: Which images are flipped, bool of shape (B,), on the same device.
        direction: 'horizontal' exchanges left and right, 'vertical' top and bottom.
    """
    # all images are flipped: to select the chosen ones, the CPU would wait for the device
    flipped = images.flip(DIRECTIONS[direction])
    return flipped.where(chosen[:, None, None, None], images)
