"""Check numbers among the settings of a module, before torch fails on them without a name."""

from collections.abc import Sequence
from math import inf
from numbers import Integral, Real

Size = int | Sequence[int] | None


def check_sizes(**sizes: Size) -> None:
    """Check that sizes are positive integers.

    Args:
        **sizes: One or several numbers by the name of the argument; None is not checked.

    Raises:
        ValueError: If a size is not positive, not finite, NaN, or not an integer.
    """
    for name, size in sizes.items():
        several = isinstance(size, Sequence) and not isinstance(size, str)
        numbers = size if several else [1 if size is None else size]
        for number in numbers:
            _check_at_least_one(name, number, size)
        if not all(isinstance(number, Integral) for number in numbers):
            raise ValueError(f'{name} must be an integer, got {size}')


def check_ratios(**ratios: float) -> None:
    """Check that ratios of widths, which need not be integers, are at least 1.

    Args:
        **ratios: The ratios by the name of the argument.

    Raises:
        ValueError: If a ratio is less than 1, not finite or NaN.
    """
    for name, ratio in ratios.items():
        _check_at_least_one(name, ratio, ratio)


def _check_at_least_one(name: str, number: object, given: object) -> None:
    if not isinstance(number, Real):
        raise ValueError(f'{name} must be a number, got {given!r}')
    if not 1 <= number < inf:
        raise ValueError(f'{name} must be at least 1, got {given}')


def check_rates(**rates: float) -> None:
    """Check that dropout rates are probabilities, and that some paths are not dropped.

    Args:
        **rates: The rates by the name of the argument.

    Raises:
        ValueError: If a rate is NaN or outside [0, 1], or a rate of stochastic depth is 1: what is
            kept is divided by 1 - rate.
    """
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ValueError(f'{name} must lie between 0 and 1, got {rate}')
        if rate == 1 and 'drop_path' in name:
            raise ValueError(f'{name} must be less than 1, got {rate}: no layer would be left')
