"""Keep in a work dir which photos its training has seen, so that a test leaves them out."""

from __future__ import annotations

import csv
import io
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..fileio.atomic_backend import whole_file
from .folder_scan import FolderScan
from .photo_file import PhotoFileError, read_middle
from .unfit_data import UnfitDataError

TRAINED_ON = 'trained_on.csv'
COLUMNS = ['file', 'bytes', 'crc']
MIDDLE = 4096  # bytes of a photo that its checksum is of
UNREADABLE = (-1, 0)
# path below the folder, with `/`; size in bytes; CRC-32 of the middle
Photo = tuple[str, int, int]


def trained_photos_beside(checkpoint: str | Path | None) -> Path | None:
    """Return the table of the photos that a model has seen.

    Args:
        checkpoint: The file or address of the model.

    Returns:
        The table; None if there is none, as beside a downloaded model.
    """
    if checkpoint is None or '://' in str(checkpoint):
        return None
    table = Path(checkpoint).absolute().with_name(TRAINED_ON)
    return table if table.is_file() else None


def list_photos(dataset: Any, root: str | Path) -> set[Photo]:
    """Return the photos of a dataset.

    A photo is known by its path below the folder, its size and a checksum of its middle, so that
    a copy of the folder is recognized, and another photo of the same name, such as
    ``IMG_0001.jpg``, is not taken for it. Photos of one camera that are not compressed all have
    one size, so the size does not suffice.

    Args:
        dataset: The dataset, with its wrappers.
        root: The folder of the photos.
    """
    start = os.path.join(root, '')
    files = {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}
    return {(_name_below(file, start), *_size_and_crc(file)) for file in files}


def write_trained_photos(path: str | Path, photos: Iterable[Photo]) -> None:
    """Write which photos a training sees.

    Args:
        path: The table to write.
        photos: The photos, see :func:`list_photos`.
    """
    with whole_file(Path(path)) as file:
        file.write(_table(sorted(photos)).encode('utf-8', 'surrogateescape'))


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
        return {(name, int(size), int(crc)) for name, size, crc in rows}
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
    sizes = {(name, size) for name, size, _ in known}
    names = {name for name, _ in sizes}
    files = ((name, os.path.join(scan.root, name)) for name, _ in scan.samples)
    seen = {
        i
        for i, (name, file) in enumerate(files)
        if name in names
        and (name, _size(file)) in sizes  # only then is it opened
        and (name, *_size_and_crc(file)) in known
    }
    if not scan.groups:
        return seen
    groups = {scan.groups[i] for i in seen}
    return {i for i, group in enumerate(scan.groups) if group in groups}


def _name_below(file: str, start: str) -> str:
    if file.startswith(start):  # much faster than `relpath`
        return file[len(start) :].replace(os.sep, '/')
    return Path(os.path.relpath(file, start)).as_posix()


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return UNREADABLE[0]


def _size_and_crc(path: str) -> tuple[int, int]:
    try:
        size, middle = read_middle(path, MIDDLE)
    except PhotoFileError:
        return UNREADABLE  # loading it says what is wrong with it
    return size, zlib.crc32(middle)


def _table(rows: Iterable[Photo]) -> str:
    text = io.StringIO(newline='')
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue()
