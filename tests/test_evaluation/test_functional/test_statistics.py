import math

import numpy as np
import pytest
from scipy import stats

from vit_plugins.evaluation.functional.statistics import (
    paired_difference,
    student_quantile,
    summarize,
    wilson_interval,
)

VALUES = {0: 35.1, 1: 36.4, 2: 34.9, 3: 37.0, 4: 36.2}
BASELINE = {0: 33.0, 1: 36.1, 2: 33.5, 3: 34.1, 4: 35.9}


def test_mean_and_deviation_by_numpy():
    found = summarize(list(VALUES.values()))
    assert found.n == 5
    assert found.mean == pytest.approx(np.mean(list(VALUES.values())), abs=1e-12)
    assert found.std == pytest.approx(np.std(list(VALUES.values()), ddof=1), abs=1e-12)


def test_one_value_has_no_deviation():
    found = summarize([3.0])
    assert (found.n, found.mean) == (1, 3.0)
    assert math.isnan(found.std)


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match='no values'):
        summarize([])


# Student's table, two-sided 95 %, as printed in textbooks
@pytest.mark.parametrize(
    ('degrees', 'quantile'), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262)]
)
def test_quantile_by_the_printed_table(degrees, quantile):
    assert student_quantile(degrees) == pytest.approx(quantile, abs=5e-4)


def test_paired_difference_by_scipy():
    found = paired_difference(VALUES, BASELINE)
    oracle = stats.ttest_rel(list(VALUES.values()), list(BASELINE.values()))
    interval = oracle.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-10)
    assert found.mean == pytest.approx(1.4, abs=1e-12)


def test_paired_difference_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, half width 4.3027 / sqrt(3) = 2.4841."""
    found = paired_difference({0: 2, 1: 4, 2: 6}, {0: 1, 1: 2, 2: 3})
    assert (found.n, found.mean, found.std) == (3, 2, 1)
    assert found.low == pytest.approx(2 - 2.4841, abs=1e-4)
    assert found.high == pytest.approx(2 + 2.4841, abs=1e-4)


def test_only_seeds_of_both_sides_count():
    found = paired_difference({0: 1.0, 1: 2.0, 7: 100.0}, {1: 1.0, 0: 0.5, 9: -100.0})
    assert (found.n, found.mean) == (2, 0.75)


def test_one_pair_has_no_interval():
    found = paired_difference({0: 1.0}, {0: 0.0})
    assert found.mean == 1
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_no_pair_is_an_error():
    with pytest.raises(ValueError, match=r'no seed is on both sides: got \[0\] and \[1\]'):
        paired_difference({0: 1.0}, {1: 1.0})


def test_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.normal(1.0, 2.0, (1000, 3))
    intervals = [paired_difference(dict(enumerate(d)), dict.fromkeys(range(3), 0)) for d in draws]
    covered = sum(found.low < 1 < found.high for found in intervals)
    assert abs(covered - 950) < 5 * (1000 * 0.95 * 0.05) ** 0.5


@pytest.mark.parametrize(('successes', 'n'), [(0, 7), (7, 7), (1, 3), (410, 505)])
def test_share_by_scipy(successes, n):
    wanted = stats.binomtest(successes, n).proportion_ci(0.95, method='wilson')
    assert wilson_interval(successes, n) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_no_share_is_an_error():
    with pytest.raises(ValueError, match='4 of 3 is no share'):
        wilson_interval(4, 3)
