"""Compute statistics of a few seeds: mean, deviation, and paired differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Summary:
    """Number, mean and standard deviation of some values.

    Attributes:
        n: How many values there are.
        mean: Their mean.
        std: Their standard deviation with n - 1; NaN for a single value.
    """

    n: int
    mean: float
    std: float


@dataclass(frozen=True)
class PairedDifference:
    """How much larger one side is than the other, pair by pair.

    Attributes:
        n: How many pairs there are.
        mean: The mean of the differences.
        std: Their standard deviation with n - 1; NaN for a single pair.
        low: The lower end of the 95 % interval of the mean; NaN for a single pair.
        high: The upper end.
    """

    n: int
    mean: float
    std: float
    low: float
    high: float


def summarize(values: Sequence[float]) -> Summary:
    """Compute mean and standard deviation.

    Args:
        values: One or more numbers.

    Raises:
        ValueError: If there is none.

    >>> summarize([1.0, 2.0, 3.0])
    Summary(n=3, mean=2.0, std=1.0)
    """
    if not values:
        raise ValueError('no values to summarize')
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Summary(1, mean, math.nan)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Summary(len(values), mean, math.sqrt(variance))


def student_quantile(degrees: int, level: float = 0.95) -> float:
    """Return the half-width in standard errors of Student's two-sided interval.

    Args:
        degrees: The degrees of freedom, n - 1.
        level: The probability of the two-sided interval.

    Raises:
        ImportError: If SciPy is missing, with the line that installs it.

    >>> round(student_quantile(2), 4)
    4.3027
    """
    try:
        from scipy.stats import t
    except ImportError as error:
        raise ImportError(
            "intervals need SciPy's Student distribution: pip install scipy"
        ) from error
    return float(t.ppf((1 + level) / 2, degrees))


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float]
) -> PairedDifference:
    """Compare two settings over the seeds that both have.

    The interval is Student's for the mean of the differences: it supposes that they are drawn
    from a normal distribution, and is wide for three seeds (4.3 standard errors). It is not
    corrected for the number of comparisons made.

    Args:
        values: Values by seed.
        baseline: The same, for the other side.

    Returns:
        ``values`` minus ``baseline``.

    Raises:
        ValueError: If no seed is in both.
    """
    seeds = sorted(values.keys() & baseline.keys())
    if not seeds:
        raise ValueError(f'no seed is on both sides: got {sorted(values)} and {sorted(baseline)}')
    found = summarize([values[seed] - baseline[seed] for seed in seeds])
    half = math.nan
    if found.n > 1:
        half = student_quantile(found.n - 1) * found.std / math.sqrt(found.n)
    return PairedDifference(found.n, found.mean, found.std, found.mean - half, found.mean + half)


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share by E. B. Wilson (1927), within 0 and 1.

    Args:
        successes: How many of the trials succeeded.
        n: How many trials there were.
        level: The probability of the two-sided interval.

    Raises:
        ValueError: If there are no trials, or fewer than successes.

    >>> low, high = wilson_interval(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f'{successes} of {n} is no share: it takes 1 trial or more')
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)
