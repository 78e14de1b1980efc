"""Check numbers among the settings of a module, before torch fails on them without a name."""

from collections.abc import Sequence
from math import inf

Size = int | Sequence[int] | None


def check_sizes(**sizes: Size) -> None:
    """Check that sizes are positive.

    Args:
        **sizes: One or several numbers by the name of the argument; None is not checked.

    Raises:
        ValueError: If a number is not positive, not finite or NaN.
    """
    for name, size in sizes.items():
        numbers = size if isinstance(size, Sequence) else [1 if size is None else size]
        if not all(1 <= number < inf for number in numbers):
            raise ValueError(f'{name} must be at least 1, got {size}')


def check_rates(**rates: float) -> None:
    """Check that dropout rates are probabilities.

    Args:
        **rates: The rates by the name of the argument.

    Raises:
        ValueError: If a rate is NaN or outside [0, 1].
    """
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ValueError(f'{name} must lie between 0 and 1, got {rate}')
