"""Compare the settings of an optimizer with those of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def told_changes(before: Sequence[Mapping], now: Sequence[Mapping]) -> list[str]:
    """Return in words which settings of an optimizer differ.

    Args:
        before: The groups of parameters in a checkpoint.
        now: The groups of an optimizer that has taken no step.

    >>> told_changes([{'lr': 0.1}, {'lr': 0.2}, {'lr': 1}], [{'lr': 0.5}, {'lr': 0.7}, {'lr': 1}])
    ['lr was 0.1 to 0.2 and is 0.5 to 0.7 in 2 of 3 groups of parameters']
    """
    found: dict[str, list[tuple[object, object]]] = {}
    for old, new in zip(before, now, strict=True):
        for name, pair in changed_settings(old, new).items():
            found.setdefault(name, []).append(pair)
    lines = []
    for name, pairs in found.items():
        old, new = map(_span, zip(*pairs, strict=True))
        where = f' in {len(pairs)} of {len(now)} groups of parameters' if len(now) > 1 else ''
        lines.append(f'{name} was {old} and is {new}{where}')
    return lines


def _span(values: Sequence[object]) -> str:
    """Return the least and the greatest of numbers, or all other settings, in words."""
    if all(isinstance(v, Real) and not isinstance(v, bool) for v in values):
        ends = [f'{value:.6g}' for value in (min(values), max(values))]
        return ' to '.join(dict.fromkeys(ends))
    return ' or '.join(dict.fromkeys(map(str, values)))


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
