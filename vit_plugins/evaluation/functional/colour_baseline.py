"""Score baselines from colours alone: extremely randomised trees on colour histograms."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

TREES = 300
AT_ONCE = 30  # the number of trees between two looks at the clock


def colour_accuracy(
    train: np.ndarray,
    labels: Sequence[int],
    test: np.ndarray,
    truth: Sequence[int],
    deadline: float = math.inf,
) -> float | None:
    """Return the share of images that 300 trees (Geurts et al., 2006) classify correctly.

    Args:
        train: Histograms of the training images, (N, D).
        labels: The classes of the training images.
        test: Histograms of the test images, (M, D).
        truth: The classes of the test images.
        deadline: The time of ``time.monotonic()`` at which to stop.

    Returns:
        The share, None if the time did not suffice.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    trees = ExtraTreesClassifier(random_state=0, n_jobs=-1, warm_start=True)
    for number in range(AT_ONCE, TREES + 1, AT_ONCE):
        if time.monotonic() > deadline:
            return None
        trees.set_params(n_estimators=number).fit(train, labels)  # adds trees
    return float(np.mean(trees.predict(test) == np.asarray(truth)))


def majority_accuracy(labels: Sequence[int], truth: Sequence[int]) -> float:
    """Return the share of correct answers if all images get the largest training class.

    Args:
        labels: The classes of the training images.
        truth: The classes of the test images.
    """
    largest = np.bincount(np.asarray(labels)).argmax()
    return float(np.mean(np.asarray(truth) == largest))
