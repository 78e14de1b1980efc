"""Show a progress bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def tracked(found: Iterable, total: int, title: str, progress: bool | None = None) -> Iterable:
    """Yield items and show a progress bar on stderr.

    Args:
        found: The items.
        total: Number of items.
        title: The text of the bar.
        progress: Whether to show the bar. Default: only on a terminal.
    """
    if not (sys.stderr.isatty() if progress is None else progress) or not total:
        return found
    from rich.console import Console
    from rich.progress import track

    return track(found, title, total, console=Console(stderr=True))
