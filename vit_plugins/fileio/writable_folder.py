"""Check that results can be written into a folder, before any work."""

from __future__ import annotations

import tempfile
from pathlib import Path


def require_writable(folder: Path) -> None:
    """Create the folder of the results, and check that files can be written into it.

    Args:
        folder: The folder.

    Raises:
        OSError: If it cannot be created or written into.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b'x')
