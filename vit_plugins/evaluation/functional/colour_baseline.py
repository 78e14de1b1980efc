"""Score baselines from colours alone: extremely randomised trees on colour histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def colour_accuracy(
    train: np.ndarray, labels: Sequence[int], test: np.ndarray, truth: Sequence[int]
) -> float:
    """Return the share of images that 300 trees (Geurts et al., 2006) classify correctly.

    Args:
        train: Histograms of the training images, (N, D).
        labels: The classes of the training images.
        test: Histograms of the test images, (M, D).
        truth: The classes of the test images.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    trees = ExtraTreesClassifier(n_estimators=300, random_state=0, n_jobs=-1)
    return float(np.mean(trees.fit(train, labels).predict(test) == np.asarray(truth)))


def majority_accuracy(labels: Sequence[int], truth: Sequence[int]) -> float:
    """Return the share of correct answers if all images get the largest training class.

    Args:
        labels: The classes of the training images.
        truth: The classes of the test images.
    """
    largest = np.bincount(np.asarray(labels)).argmax()
    return float(np.mean(np.asarray(truth) == largest))
