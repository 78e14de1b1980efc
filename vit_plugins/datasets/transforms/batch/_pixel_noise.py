"""Random numbers for each pixel, computed on the device of the images."""

from __future__ import annotations

import torch
from torch import Tensor

# SplitMix64's constants as signed integers, because torch has no arithmetic on unsigned ones
STEP = 0x9E3779B97F4A7C15 - 2**64
FACTORS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def pixel_noise(seeds: Tensor, count: int) -> Tensor:
    """Return the first numbers of a SplitMix64 generator for each image.

    The generator computes with integers only, so every device gives the same numbers. Torch's
    own generators differ between devices.

    Args:
        seeds: int64 of shape (B,).
        count: How many numbers each image gets.

    Returns:
        float32 of shape (B, count); odd multiples of 2^-24 in (0, 1).
    """
    counters = torch.arange(1, count + 1, device=seeds.device) * STEP  # int64 wraps around
    bits = seeds[:, None] + counters  # (B, count)
    for shift, factor in zip((30, 27), FACTORS, strict=True):
        bits = (bits ^ _shifted(bits, shift)) * factor
    bits = bits ^ _shifted(bits, 31)
    return (_shifted(bits, 41).float() + 0.5) * 2.0**-23


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Return bits shifted to the right, filled with zeros; torch fills with the sign bit."""
    return (bits >> by) & (2 ** (64 - by) - 1)
