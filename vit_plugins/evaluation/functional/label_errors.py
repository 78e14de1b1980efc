"""Find labels that are likely wrong, with a model that did not learn from them."""

from __future__ import annotations

import numpy as np


def likely_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Find samples whose label is likely wrong, by confident learning.

    A sample counts as one of class j if its probability of j is at least the mean probability of
    j among the samples labelled j; of several such classes the most probable one counts. Those
    that count as another class than their label are returned.

    Source: C. Northcutt, L. Jiang, I. Chuang, Confident Learning, JAIR 2021, equations 1 and 2,
    ranked by the normalised margin (section 3.2).

    Args:
        probabilities: Probabilities of each class (N, K), from a model that was not trained on the
            samples.
        labels: Their classes (N,).

    Returns:
        Indices of the samples, sorted by how much the probability of the other class exceeds that
        of the label, the most suspicious first.

    Raises:
        ValueError: If the shapes do not fit.

    >>> found = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.9, 0.1]])
    >>> likely_label_errors(found, np.array([0, 0, 1, 1]))
    array([3])
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f'probabilities (N, K) and labels (N,) are needed, got {probabilities.shape} and '
            f'{labels.shape}'
        )
    thresholds = np.full(probabilities.shape[1], np.inf)  # no sample counts as an absent class
    for j in np.unique(labels):
        thresholds[j] = probabilities[labels == j, j].mean(dtype=np.float64)
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)  # (N, K)
    counted = confident.argmax(axis=1)
    rows = np.arange(len(labels))
    found = np.flatnonzero(np.isfinite(confident[rows, counted]) & (counted != labels))
    margin = probabilities[found, counted[found]] - probabilities[found, labels[found]]
    return found[np.argsort(-margin, kind='stable')]
