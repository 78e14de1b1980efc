"""Handwritten digits at random positions of a larger picture, a test of locality."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS

from ._split_digits import SplitDigits
from .digits import load_digits, split_indices

DIGIT_SIZE = 8


def sample_places(indices: list[int], copies: int, span: int, seed: int) -> np.ndarray:
    """Sample the place of each digit, which depends only on the seed and the digit.

    Args:
        indices: The numbers of N digits.
        copies: The pictures of each digit.
        span: The number of places along an edge.
        seed: The seed.

    Returns:
        Top row and left column of each picture, shape (N, copies, 2), from 0 to ``span - 1``.
    """
    places = [np.random.default_rng([seed, i]).integers(0, span, (copies, 2)) for i in indices]
    return np.array(places, dtype=np.int64).reshape(len(indices), copies, 2)


def place_digit(digit: np.ndarray, row: int, column: int, canvas_size: int) -> np.ndarray:
    """Return a black picture with the digit at one place.

    Args:
        digit: The image, shape (8, 8, 3).
        row: Its top row.
        column: Its left column.
        canvas_size: Height and width of the picture.

    Returns:
        The picture, shape (canvas_size, canvas_size, 3), uint8.
    """
    picture = np.zeros((canvas_size, canvas_size, 3), np.uint8)
    picture[row : row + DIGIT_SIZE, column : column + DIGIT_SIZE] = digit
    return picture


@DATASETS.register_module()
class PlacedDigits(SplitDigits):
    """Scikit-learn's 8 x 8 digits, each at a random place of a larger black picture.

    A model that does not know that a digit stays the same when it moves has to learn each digit at
    each place. The test uses other digits at other places: the splits are those of
    :class:`Digits`, so no test digit is in training at any place. The pictures are fixed: the same
    seed makes the same pictures on every machine.

    Args:
        split: 'train' (1,259 digits), 'val' (179), 'trainval' (1,438) or 'test' (359).
        canvas_size: Height and width of the picture in pixels, at least 8.
        copies: The pictures of each digit, each at a place of its own.
        seed: The seed of the places. The split of the digits has none: it is always the same.
        pipeline: The transforms.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the four, or ``canvas_size`` or ``copies`` is too
            small.
    """

    METAINFO = {'classes': tuple('0123456789')}

    def __init__(
        self,
        split: str = 'trainval',
        canvas_size: int = 14,
        copies: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if not canvas_size >= DIGIT_SIZE:
            raise ValueError(f'canvas_size must be at least {DIGIT_SIZE}, got {canvas_size}')
        if not copies >= 1:
            raise ValueError(f'copies must be at least 1, got {copies}')
        self.canvas_size = canvas_size
        self.copies = copies
        super().__init__(split, seed, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return the pictures with their labels; the copies of a digit follow each other."""
        images, labels = load_digits()
        indices = split_indices(labels, self.split)
        span = self.canvas_size - DIGIT_SIZE + 1
        places = sample_places(indices, self.copies, span, self.seed)
        return [
            {
                'img': place_digit(images[index], *place, self.canvas_size),
                'gt_label': int(labels[index]),
            }
            for index, copies in zip(indices, places, strict=True)
            for place in copies
        ]

    def extra_repr(self) -> list[str]:
        """Return the lines that describe the split and the pictures."""
        return [
            f'Split: \t{self.split}',
            f'Pictures: \t{self.canvas_size} px, {self.copies} of each digit (seed {self.seed})',
        ]
