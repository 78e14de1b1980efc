"""Compute final scores of a classifier with their intervals, and those of baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.functional.bootstrap import bootstrap_interval
from ..evaluation.functional.confusion import (
    ClassScore,
    class_scores,
    macro_f1,
    most_confused,
)
from ..evaluation.functional.statistics import wilson_interval
from .predictions import Predictions


@dataclass(frozen=True)
class Score:
    """A share between 0 and 1.

    Attributes:
        name: Its name.
        value: The share.
        low: Lower end of its 95 % interval; None if there is none.
        high: Upper end.
        how: A description of how the interval was computed.
        is_model: Whether it is a score of the model, not of a baseline.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    how: str = ''
    is_model: bool = True


@dataclass(frozen=True)
class ClassRow:
    """A class in a table.

    Attributes:
        score: Its score.
        trained: Its training images; None if they could not be counted.
        taken_for: The class that its images are most often mistaken for, and how often.
    """

    score: ClassScore
    trained: int | None
    taken_for: tuple[str, int] | None


def share(name: str, right: int, count: int, *, is_model: bool = True) -> Score:
    """Return the share of correct images with Wilson's interval.

    Args:
        name: Its name.
        right: The number of correct images.
        count: The number of all images.
        is_model: Whether it is a score of the model.
    """
    low, high = wilson_interval(right, count)
    return Score(name, right / count, low, high, 'Wilson', is_model)


def final_scores(found: Predictions, baselines: Mapping[str, float | str]) -> list[Score]:
    """Return accuracy and macro F1 with their intervals, and the baselines.

    Args:
        found: The predictions of the model for the images.
        baselines: Percent on the same images by name; entries without a number are left out.
    """
    count = len(found.labels)
    number = found.probabilities.shape[1]
    low, high = bootstrap_interval(found.labels, found.named, number, macro_f1)
    others = [
        share(name, round(value / 100 * count), count, is_model=False)
        for name, value in baselines.items()
        if isinstance(value, float)
    ]
    return [
        share('accuracy', int(found.right.sum()), count),
        Score('macro F1', macro_f1(found.confusion), low, high, 'bootstrap, 1,000 draws'),
        *others,
    ]


def class_rows(
    confusion: np.ndarray, names: Sequence[str], trained: Sequence[int]
) -> list[ClassRow]:
    """Return a row for each class.

    Args:
        confusion: Counts, (K, K): images of class i that are predicted as j.
        names: The K classes.
        trained: Their training images; empty if they could not be counted.
    """
    rows = []
    for i, score in enumerate(class_scores(confusion, names)):
        wrong = np.zeros_like(confusion)
        wrong[i] = confusion[i]
        pairs = most_confused(wrong, names, 1)
        taken_for = (pairs[0][1], pairs[0][2]) if pairs else None
        rows.append(ClassRow(score, trained[i] if len(trained) else None, taken_for))
    return rows


@dataclass(frozen=True)
class Paired:
    """Two models on the same images.

    Attributes:
        gained: The number of images that only the second classifies correctly.
        lost: The number of images that only the first classifies correctly.
        difference: Accuracy of the second minus that of the first.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
    """

    gained: int
    lost: int
    difference: float
    low: float
    high: float


def compare_paired(first: np.ndarray, second: np.ndarray) -> Paired:
    """Compare two models image by image.

    The interval is that of A. Agresti and Y. Min (2005): Wald's after half an image is added to
    each of the four counts.

    Args:
        first: Whether the first model classifies each image correctly, bool (N,).
        second: The same for the second model.

    >>> compare_paired(np.array([True, True, False, False]), np.array([True] * 4)).gained
    2
    """
    count = len(first)
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    b, c, n = gained + 0.5, lost + 0.5, count + 2
    middle = (b - c) / n
    half = 1.959964 * np.sqrt(b + c - (b - c) ** 2 / n) / n
    difference = (gained - lost) / count
    return Paired(gained, lost, difference, float(middle - half), float(middle + half))
