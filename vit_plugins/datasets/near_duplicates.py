"""Find photos that show nearly the same picture, by a hash of their content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from .photo_decoding import DAMAGE, open_within
from .photo_file import read_photo_file

SIDE = 16
NEAR = 12  # bits of 256 that may differ; resized and recompressed copies differ in fewer
PLAIN = 3.0  # grey levels of deviation, below which a picture shows nothing to compare
CHUNK = 256


def difference_hash(path: str | os.PathLike) -> np.ndarray | None:
    """Compute whether each of 16 x 16 points is brighter than its right neighbour.

    Args:
        path: The image.

    Returns:
        256 bits as bytes, (32,); None for a plain picture or one that cannot be read.
    """
    try:
        with open_within(read_photo_file(path)) as image:
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
    """Find the photos that have a near-duplicate in another set.

    Args:
        first: The photos to check, such as those held out.
        second: Photos that may repeat them, such as training photos.

    Returns:
        Pairs of an index into ``first`` and the index of its nearest one in ``second``.
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
