"""Write how long something takes."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a time in a suitable unit.

    Args:
        seconds: The time.

    >>> duration(50), duration(600), duration(9000)
    ('50 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'
