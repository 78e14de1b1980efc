"""Keep in a work dir which photos its training has seen, so that a test leaves them out."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..fileio.atomic_backend import whole_file
from .folder_scan import FolderScan
from .unfit_data import UnfitDataError

TRAINED_ON = 'trained_on.csv'
COLUMNS = ['file', 'bytes']
Photo = tuple[str, int]  # path below the folder, with `/`, and size in bytes


def write_trained_photos(path: str | Path, dataset: Any, root: str | Path) -> None:
    """Write which photos a training sees.

    A photo is known by its path below the folder and its size, so that a copy of the folder is
    recognized, and another photo of the same name, such as ``IMG_0001.jpg``, is not taken for it.

    Args:
        path: The table to write.
        dataset: The dataset of the training, with its wrappers.
        root: The folder of the photos.
    """
    files = (dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    photos = {(Path(os.path.relpath(file, root)).as_posix(), file) for file in files}
    rows = [(name, _size(source)) for name, source in sorted(photos)]
    with whole_file(Path(path)) as file:
        file.write(_table(rows).encode('utf-8', 'surrogateescape'))


def read_trained_photos(path: str | Path) -> set[Photo]:
    """Return the photos that a training has seen.

    Args:
        path: The table of :func:`write_trained_photos`.

    Raises:
        UnfitDataError: If it is absent or damaged.
    """
    try:
        with Path(path).open(newline='', encoding='utf-8', errors='surrogateescape') as file:
            head, *rows = csv.reader(file)
        if head != COLUMNS:
            raise ValueError(f'its columns are {", ".join(head)}')
        return {(name, int(size)) for name, size in rows}
    except (OSError, ValueError, csv.Error) as error:
        raise UnfitDataError(
            f'{path}, the list of the photos that were trained on, cannot be read ({error}): '
            'without it photos of the training could be tested on. Restore it, or delete it to '
            'hold out photos by the split alone'
        ) from None


def find_seen(path: str | Path, scan: FolderScan) -> set[int]:
    """Return which photos of a folder a training has seen.

    Args:
        path: The table of :func:`write_trained_photos`.
        scan: The photos. If they are grouped, all photos of a group that was trained on count,
            because they show the same object.

    Returns:
        Indices of ``scan.samples``.

    Raises:
        UnfitDataError: If the table is absent or damaged.
    """
    known = read_trained_photos(path)
    names = {name for name, _ in known}
    seen = {
        i
        for i, (name, _) in enumerate(scan.samples)
        if name in names and (name, _size(os.path.join(scan.root, name))) in known
    }
    if not scan.groups:
        return seen
    groups = {scan.groups[i] for i in seen}
    return {i for i, group in enumerate(scan.groups) if group in groups}


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1  # loading it says what is wrong with it


def _table(rows: Iterable[Photo]) -> str:
    text = io.StringIO(newline='')
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue()
