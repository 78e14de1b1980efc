"""A progress bar for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def tracked(found: Iterable, total: int, title: str, progress: bool | None = None) -> Iterable:
    """Show a progress bar on stderr while items pass.

    Args:
        found: What to go through.
        total: How many there are.
        title: What is being done.
        progress: Whether to show it. Default: if a person watches.
    """
    if not (sys.stderr.isatty() if progress is None else progress) or not total:
        return found
    from rich.console import Console
    from rich.progress import track

    return track(found, title, total, console=Console(stderr=True))
