"""Compute intervals of scores without a formula, by resampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .confusion import count_pairs


def bootstrap_interval(
    labels: np.ndarray,
    named: np.ndarray,
    number: int,
    score: Callable[[np.ndarray], float],
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile interval of a score of a confusion matrix (B. Efron, 1979).

    Samples are drawn within their classes, so that no resample lacks a small class.

    Args:
        labels: The classes of the samples (N,).
        named: Their predicted classes (N,).
        number: The number K of classes.
        score: Function that returns the score of counts (K, K).
        draws: How often the samples of each class are drawn with replacement.
        level: The probability of the two-sided interval.
        seed: The seed of the draws.
    """
    rng = np.random.default_rng(seed)
    confusion = count_pairs(np.stack([labels, named], axis=1), number)  # (K, K)
    images = confusion.sum(axis=1)
    shares = confusion / np.maximum(images, 1)[:, None]
    shares[images == 0, 0] = 1.0  # a class without images may have any shares
    # to draw n samples with replacement is to draw their counts
    drawn = np.stack(
        [rng.multinomial(n, p, size=draws) for n, p in zip(images, shares, strict=True)], axis=1
    )  # (draws, K, K)
    scores = [score(counts) for counts in drawn]
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
