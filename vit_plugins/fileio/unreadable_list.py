"""Write the list of the photos that a run has skipped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .printable_text import spreadsheet_path
from .result_table import write_rows

LIST_NAME = 'unreadable_photos.csv'


def write_unreadable(found: Iterable[tuple[str, str]], folder: str | Path) -> Path | None:
    """Write photos that were skipped, each with the reason, to a table in a folder.

    Args:
        found: Path and reason of each photo.
        folder: The folder for ``unreadable_photos.csv``. A table of an earlier run is replaced,
            or removed if there is nothing to write.

    Returns:
        The file; None if there is nothing to write.
    """
    file = Path(folder, LIST_NAME)
    rows = [{'file': spreadsheet_path(path), 'problem': problem} for path, problem in found]
    if not rows:
        file.unlink(missing_ok=True)
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    write_rows(file, rows)
    return file
