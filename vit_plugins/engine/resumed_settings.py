"""Compare the settings of an optimizer with those of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

# members of a group, where schedules began, and how it computes rather than what
NO_SETTINGS = ('param', 'initial_', 'foreach', 'fused', 'capturable', 'differentiable')


def changed_settings(before: Mapping, now: Mapping) -> dict[str, tuple[object, object]]:
    """Return which settings of a group of parameters differ.

    Args:
        before: The group in a checkpoint.
        now: The group of an optimizer that has taken no step.

    Returns:
        Name to the earlier and the present value: those from which schedules start.

    >>> changed_settings({'lr': 0.01, 'initial_lr': 0.1, 'eps': 1}, {'lr': 0.2, 'eps': 1})
    {'lr': (0.1, 0.2)}
    """
    names = [k for k in now if k in before and not k.startswith(NO_SETTINGS)]
    if 'initial_momentum' in now:  # a schedule of the momentum changes them
        names = [k for k in names if k != 'betas']
    pairs = {
        k: (before.get(f'initial_{k}', before[k]), now.get(f'initial_{k}', now[k])) for k in names
    }
    return {name: pair for name, pair in pairs.items() if not is_same(*pair)}


def is_same(first: object, second: object) -> bool:
    """Return whether two settings are the same, numbers up to rounding.

    Args:
        first: A number, a list of settings, or any other object.
        second: The other one.
    """
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(is_same(a, b) for a, b in pairs)
    if isinstance(first, Real) and isinstance(second, Real):
        return math.isclose(first, second, rel_tol=1e-6)
    return first == second
