"""What colours alone tell of a class: extremely randomised trees on colour histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def colour_accuracy(
    train: np.ndarray, labels: Sequence[int], test: np.ndarray, truth: Sequence[int]
) -> float:
    """Return the share of images that 300 trees (Geurts et al., 2006) name rightly.

    Args:
        train: Histograms of the training images, (N, D).
        labels: Their classes.
        test: Histograms of the others, (M, D).
        truth: Their classes.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    trees = ExtraTreesClassifier(n_estimators=300, random_state=0, n_jobs=-1)
    return float(np.mean(trees.fit(train, labels).predict(test) == np.asarray(truth)))


def majority_accuracy(labels: Sequence[int], truth: Sequence[int]) -> float:
    """Return the share that is right if all are named as the largest training class.

    Args:
        labels: The classes of the training images.
        truth: Those of the others.
    """
    largest = np.bincount(np.asarray(labels)).argmax()
    return float(np.mean(np.asarray(truth) == largest))
