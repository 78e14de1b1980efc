"""Compute the histogram of the colours of a photo."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np

from .photo_decoding import DAMAGE, UndecodableError, open_within
from .photo_file import read_photo_file

BINS = 8  # bins for each of hue, saturation and value
SIDE = 64


def colour_histogram(path: str | os.PathLike) -> np.ndarray:
    """Compute the joint histogram of hue, saturation and value of a photo.

    Args:
        path: The image.

    Returns:
        Shares that sum to 1, (512,).

    Raises:
        PhotoFileError: If it cannot be read from the disk.
        UndecodableError: If it cannot be decoded.
    """
    data = read_photo_file(path)
    try:
        with open_within(data) as image:
            image.draft('RGB', (SIDE, SIDE))
            small = image.convert('RGB').resize((SIDE, SIDE)).convert('HSV')
    except DAMAGE as error:
        raise UndecodableError(f'{os.fspath(path)} cannot be loaded: {error}') from error
    cells = np.asarray(small, dtype=np.int64).reshape(-1, 3) // (256 // BINS)  # (pixels, 3)
    index = (cells[:, 0] * BINS + cells[:, 1]) * BINS + cells[:, 2]
    counts = np.bincount(index, minlength=BINS**3)
    return (counts / len(index)).astype(np.float32)


def colour_histograms(paths: Sequence[str], deadline: float) -> np.ndarray | None:
    """Compute the histograms of many photos within a time limit.

    Args:
        paths: The images.
        deadline: The time of ``time.monotonic()`` at which to stop.

    Returns:
        (N, 512), None if the time did not suffice.
    """
    rows = []
    for path in paths:
        if time.monotonic() > deadline:
            return None
        rows.append(colour_histogram(path))
    return np.stack(rows)
