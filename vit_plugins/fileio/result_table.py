"""Write rows as CSV or JSON; the file is complete at any moment."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .atomic_backend import whole_file
from .printable_text import spreadsheet_cell


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in a form in which spreadsheet programs do not run any cell.

    No link is followed.

    Args:
        path: A file with the suffix ``.csv`` or ``.json``.
        rows: At least one row; all have the keys of the first.

    Raises:
        ValueError: If the file has another suffix.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == '.json':
        text = json.dumps(list(map(dict, rows)), indent=1, ensure_ascii=False)
    elif kind == '.csv':
        stream = io.StringIO(newline='')
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: spreadsheet_cell(v) if isinstance(v, str) else v
                             for k, v in row.items()})  # fmt: skip
        text = stream.getvalue()
    else:
        raise ValueError(f'{path}: rows are written as .csv or .json')
    with whole_file(path) as file:
        file.write(text.encode('utf-8', 'backslashreplace'))
