"""Intervals of scores that no formula has, by drawing the samples again."""

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

    Args:
        labels: The classes of the samples (N,).
        named: What they are named (N,).
        number: The number K of classes.
        score: From counts (K, K) to the score.
        draws: How often N samples are drawn with replacement.
        level: The probability of the two-sided interval.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    pairs = np.stack([labels, named], axis=1)  # (N, 2)
    scores = [
        score(count_pairs(pairs[rng.integers(len(pairs), size=len(pairs))], number))
        for _ in range(draws)
    ]
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
