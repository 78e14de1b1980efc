"""How much memory this process takes."""

from __future__ import annotations

import sys


def peak_memory() -> int | None:
    """Return the most memory that the process has taken so far, in bytes.

    Returns:
        None on Windows, whose Python does not say.
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak
