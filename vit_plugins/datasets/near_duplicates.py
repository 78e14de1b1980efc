"""Photos that show nearly the same, found by a hash of what they look like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from .photo_decoding import DAMAGE, open_within

SIDE = 16
NEAR = 12  # of 256 bits that may differ; resized and recompressed copies differ in fewer
PLAIN = 3.0  # grey levels of deviation, below which a picture shows nothing to compare
CHUNK = 256


def difference_hash(path: str | os.PathLike) -> np.ndarray | None:
    """Compute whether each of 16 x 16 points is brighter than its right neighbour.

    Args:
        path: The image.

    Returns:
        256 bits as bytes, (32,); None of a plain picture or one that cannot be read.
    """
    try:
        with open_within(Path(path).read_bytes()) as image:
            image.draft('L', (4 * SIDE, 4 * SIDE))
            small = image.convert('L').resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    except DAMAGE:
        return None
    grey = np.asarray(small, np.float32)  # (16, 17)
    if grey.std() < PLAIN:
        return None
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def near_pairs(
    first: Sequence[str | os.PathLike], second: Sequence[str | os.PathLike]
) -> list[tuple[int, int]]:
    """Find the photos of a set of which another set holds a near-duplicate.

    Args:
        first: The photos in question, as those held out.
        second: Those that may repeat them, as those trained on.

    Returns:
        Index into ``first`` and that of the nearest one in ``second``, of those that are near.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        ours, theirs = (list(pool.map(difference_hash, paths)) for paths in (first, second))
    rows = [i for i, found in enumerate(ours) if found is not None]
    columns = [j for j, found in enumerate(theirs) if found is not None]
    if not rows or not columns:
        return []
    known = np.stack([theirs[j] for j in columns])  # (M, 32)
    bits = np.unpackbits(known, axis=1).astype(np.float32)  # (M, 256)
    pairs = []
    for begin in range(0, len(rows), CHUNK):
        part = rows[begin : begin + CHUNK]
        own = np.unpackbits(np.stack([ours[i] for i in part]), axis=1).astype(np.float32)
        # |a - b| of bits is a + b - 2ab: (n, 1) + (M,) - (n, M)
        far = own.sum(1, keepdims=True) + bits.sum(1) - 2 * own @ bits.T
        nearest = far.argmin(axis=1)
        pairs += [
            (i, columns[j])
            for i, j, d in zip(part, nearest, far.min(axis=1), strict=True)
            if d <= NEAR
        ]
    return pairs
