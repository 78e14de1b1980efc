"""Show how far a long work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

from .duration import duration

EVERY = 30  # seconds between two lines


def tracked(found: Iterable, total: int, title: str, progress: bool | None = None) -> Iterable:
    """Yield items and show the progress on stderr.

    Args:
        found: The items.
        total: Number of items.
        title: The text before the progress.
        progress: Whether to show a bar. Default: on a terminal; elsewhere, such as in the log of
            a job, a line after each half minute says how much is done and how long the rest takes.
    """
    if progress is False or not total:
        return found
    if progress is None and not sys.stderr.isatty():
        return _with_lines(found, total, title)
    from rich.console import Console
    from rich.progress import track

    return track(found, title, total, console=Console(stderr=True))


def _with_lines(found: Iterable, total: int, title: str) -> Iterator:
    began = told = time.monotonic()
    for done, item in enumerate(found, 1):
        yield item
        now = time.monotonic()
        if now - told >= EVERY and done < total:
            left = duration((now - began) * (total - done) / done)
            print(f'{title}: {done / total:.0%}, about {left} left', file=sys.stderr, flush=True)
            told = now
