"""Compute scores of each class from a confusion matrix, and the classes confused most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .statistics import wilson_interval


@dataclass(frozen=True)
class ClassScore:
    """The score of a class.

    Attributes:
        name: The class.
        images: How many images it has.
        right: How many of them are classified correctly.
        named: How many images are predicted as this class.
        low: Lower end of Wilson's 95 % interval of the share of correct images.
        high: Upper end.
    """

    name: str
    images: int
    right: int
    named: int
    low: float
    high: float

    @property
    def recall(self) -> float | None:
        """Share of its images that are classified correctly; None if there are none."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """Share of correct images among those predicted as this class; None if there are none."""
        return self.right / self.named if self.named else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None if the class has neither images nor predictions."""
        total = self.images + self.named
        return 2 * self.right / total if total else None


def label_pair(sample: Any) -> tuple[int, int] | None:
    """Return label and predicted class of a sample; None if it does not have exactly one of each.

    Args:
        sample: A mapping or a structure with ``gt_label`` and ``pred_label``.
    """
    get = sample.get if isinstance(sample, Mapping) else lambda key: getattr(sample, key, None)
    label, named = get('gt_label'), get('pred_label')
    if label is None or named is None or label.numel() != 1 or named.numel() != 1:
        return None
    return int(label), int(named)


def count_pairs(pairs: Sequence[tuple[int, int]], number: int) -> np.ndarray:
    """Compute a confusion matrix, (K, K): images of class i that are predicted as j.

    Args:
        pairs: Label and predicted class of each image.
        number: The number K of classes.
    """
    confusion = np.zeros((number, number), np.int64)
    np.add.at(confusion, tuple(np.array(pairs, np.int64).reshape(-1, 2).T), 1)
    return confusion


def class_scores(confusion: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    """Score each class.

    Args:
        confusion: Counts, (K, K): images of class i that are predicted as j.
        names: The K classes.

    Raises:
        ValueError: If the shape does not fit the classes.
    """
    if confusion.shape != (len(names), len(names)):
        raise ValueError(f'{len(names)} classes need as many rows and columns: {confusion.shape}')
    scores = []
    for i, name in enumerate(names):
        images, right = int(confusion[i].sum()), int(confusion[i, i])
        low, high = wilson_interval(right, images) if images else (0.0, 1.0)
        scores.append(ClassScore(name, images, right, int(confusion[:, i].sum()), low, high))
    return scores


def macro_f1(confusion: np.ndarray) -> float:
    """Return the mean F1 of the classes that have images or predictions; 0 if there are none.

    Args:
        confusion: Counts, (K, K): images of class i that are predicted as j.

    >>> macro_f1(np.array([[3, 1], [0, 4]]))
    0.873015873015873
    """
    right = np.diag(confusion).astype(np.float64)
    total = confusion.sum(axis=0) + confusion.sum(axis=1)  # 2 TP + FP + FN
    there = total > 0
    return float(np.mean(2 * right[there] / total[there])) if there.any() else 0.0


def most_confused(
    confusion: np.ndarray, names: Sequence[str], most: int = 3
) -> list[tuple[str, str, int]]:
    """Return the pairs of classes that are confused most often.

    Args:
        confusion: Counts, (K, K): images of class i that are predicted as j.
        names: The K classes.
        most: How many pairs to return.

    Returns:
        Class, the class predicted instead, and how often, in descending order.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:most]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def format_scores(confusion: np.ndarray, names: Sequence[str]) -> list[str]:
    """Write accuracy, a line for each class and the classes confused most.

    Args:
        confusion: Counts, (K, K): images of class i that are predicted as j.
        names: The K classes.
    """
    right, count = int(np.trace(confusion)), int(confusion.sum())
    low, high = wilson_interval(right, count)
    width = max(len('class'), *map(len, names))
    lines = [
        f'accuracy {100 * right / count:.1f} % ({right} of {count} images; 95 % interval '
        f'{100 * low:.1f} to {100 * high:.1f})',
        f'{"class":{width}}  images   right  interval (95 %)  of those named so',
    ]
    for score in class_scores(confusion, names):
        share = f'{100 * score.right / score.images:5.1f} %' if score.images else '      -'
        precision = f'{100 * score.right / score.named:5.1f} %' if score.named else '      -'
        lines.append(
            f'{score.name:{width}}  {score.images:6} {share}  {100 * score.low:5.1f} to '
            f'{100 * score.high:5.1f}   {precision}'
        )
    if pairs := most_confused(confusion, names):
        told = ', '.join(f'{a} as {b} ({n})' for a, b, n in pairs)
        lines.append(f'named otherwise most often: {told}')
    return lines
