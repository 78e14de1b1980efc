"""Find the folder for files that this package can compute again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the folder for one type of files in the user's cache; it may not exist yet.

    Args:
        kind: The name of the folder.
    """
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return base / 'vit_plugins' / kind
