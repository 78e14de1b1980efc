"""Compare the classes of two trainings, and describe the difference for messages."""

from __future__ import annotations

from collections.abc import Sequence

from ..fileio.printable_text import listed


def class_change(before: Sequence[str] | None, now: Sequence[str] | None) -> str | None:
    """Return a description of how the classes changed; None if they are the same or unknown.

    Args:
        before: The class names of the earlier training, in the order of the labels.
        now: The class names of today, in the order of the labels.

    >>> class_change(['cat', 'dog'], ['ant', 'cat', 'dog'])
    "other classes (new: 'ant')"
    >>> class_change(['cat', 'dog'], ['dog', 'cat'])
    "other classes (their order differs: label 0 was 'cat' and is 'dog')"
    """
    if before is None or now is None or list(before) == list(now):
        return None
    new = [repr(name) for name in now if name not in set(before)]
    gone = [repr(name) for name in before if name not in set(now)]
    found = [f'{what}: {listed(names)}' for what, names in (('new', new), ('gone', gone)) if names]
    if not found:
        pairs = enumerate(zip(before, now, strict=False))
        label, (old, name) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        found = [f'their order differs: label {label} was {old!r} and is {name!r}']
    return f'other classes ({"; ".join(found)})'
