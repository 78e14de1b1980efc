"""Write and load the small file with a study's records that the repository keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..fileio.atomic_backend import whole_file
from ..fileio.text_documents import read_json
from .cell_folder import BEGUN, ENDED, cell_state, write_json
from .grid import Cell

DIGITS = 6  # significant digits of the kept numbers


def read_record_file(path: Path) -> dict[str, dict[str, Any]]:
    """Load the records of a file; none if there is no such file.

    Args:
        path: The JSON file.

    Returns:
        The name of each cell and its record.

    Raises:
        ValueError: If the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        records = read_json(path)
    except ValueError as error:
        raise ValueError(f'{path} is no file of records: {error}') from None
    entries = records.values() if isinstance(records, dict) else [None]
    needed = {'fingerprint', 'metrics', 'levels', 'seed'}
    if not all(isinstance(entry, dict) and needed <= entry.keys() for entry in entries):
        raise ValueError(f'{path} is no file of records: it needs cells with {sorted(needed)}')
    return records


def restore_records(
    records: Mapping[str, Mapping[str, Any]],
    cells: Iterable[Cell],
    folder: Path,
    data_root: str | None,
) -> list[str]:
    """Write records into the folders of cells that are not done, which makes them done.

    Args:
        records: Name of each cell to its record.
        cells: The cells of the study.
        folder: The folder of the study.
        data_root: The images, which records do not name.

    Returns:
        The names of the cells whose record is of another config; these are not restored.
    """
    others = []
    for cell in cells:
        record = records.get(cell.name)
        if record is None:
            continue
        if record['fingerprint'] != cell.fingerprint:
            others.append(cell.name)
        elif cell_state(cell, folder / cell.name, data_root) == 'todo':
            (folder / cell.name).mkdir(parents=True, exist_ok=True)
            whose = {key: record[key] for key in ('fingerprint', 'levels', 'seed')}
            write_json({**whose, 'data_root': data_root}, folder / cell.name / BEGUN)
            write_json({**record, 'data_root': data_root}, folder / cell.name / ENDED)
    return others


def keep_records(path: Path, cells: Iterable[Cell], folder: Path) -> None:
    """Add the records of all finished cells to the file.

    Args:
        path: The JSON file.
        cells: The cells of the study.
        folder: The folder of the study.
    """
    records = read_record_file(path)
    for cell in cells:
        if cell_state(cell, folder / cell.name, None) == 'done':
            record = read_json(folder / cell.name / ENDED)
            record.pop('data_root', None)  # a folder on this machine
            records[cell.name] = record
    write_record_file(path, records)


def write_record_file(path: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Write records, one line each, so that changes are easy to read.

    Args:
        path: The JSON file.
        records: The name of each cell and its record, as :func:`read_record_file` returns them.
    """
    lines = [
        f'{json.dumps(name)}: {json.dumps(_rounded(records[name]))}' for name in sorted(records)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(('{\n' + ',\n'.join(lines) + '\n}\n').encode())


def _rounded(content: Any) -> Any:
    if isinstance(content, float):
        return float(f'{content:.{DIGITS}g}')
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
