"""Read users' tables with the class or the group of each photo."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmengine.dist import is_main_process

from ..fileio.printable_text import printable
from ._annotations import AnnotationError, Inside, kind_of
from .folder_scan import FolderError, FolderScan, list_images, log_once, scan_class_folders

SEVERAL = re.compile(r'[|;]|,\s')  # between labels in one cell
CLASS_COLUMNS = ('class', 'label')
GROUP_COLUMNS = ('group', 'object', 'patient')
SPLIT_COLUMNS = ('split', 'part', 'set', 'subset', 'fold')


def read_table(path: str | Path, columns: Sequence[str]) -> list[tuple[str, str]]:
    """Read a CSV file with a line for each photo.

    Args:
        path: The file; its first line names the columns, ``file`` among them.
        columns: Names that the other column may have.

    Returns:
        File and value of each line.

    Raises:
        FolderError: If the file cannot be read, or lacks a column or a value.
    """
    try:
        with Path(path).open(newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise FolderError(f'{path} cannot be read as a table: {error}') from None
    names = list(rows[0]) if rows else []
    value = next((name for name in columns if name in names), None)
    if 'file' not in names or value is None:
        raise FolderError(
            f'{path} has the columns {", ".join(map(str, names)) or "(none)"}: its first line '
            f'must name file and {columns[0]}, as in file,{columns[0]}'
        )
    for number, row in enumerate(rows, 2):
        if not row['file'] or not row[value]:
            raise FolderError(f'{path}, line {number}: {row} lacks file or {value}')
    _tell_splits(path, names)
    return [(Path(row['file'].strip()).as_posix(), row[value].strip()) for row in rows]


def _tell_splits(path: str | Path, names: Sequence[str]) -> None:
    unused = [name for name in names if name and name.lower() in SPLIT_COLUMNS]
    if unused and is_main_process():
        log_once(
            f'{path}: the column {" and ".join(unused)} is not used, photos are held out by a '
            'split of their names. To choose them yourself, put class folders into train, val and '
            'test'
        )


def scan_table(root: Path, table: str | Path, *, complete: bool = True) -> FolderScan:
    """List the photos of a folder whose classes are in a table.

    Args:
        root: The folder that contains the files of the table.
        table: A CSV file with the columns file (below ``root``) and class.
        complete: Whether there must be two classes, as for training.

    Raises:
        FolderError: If a file is not there, comes twice or lies outside of the folder, a photo has
            several labels, or there are too few classes.
    """
    rows = read_table(table, CLASS_COLUMNS)
    several = [(file, label) for file, label in rows if SEVERAL.search(label)]
    known: dict[str, str] = {}
    for file, label in rows:
        if known.setdefault(file, label) != label:
            several.append((file, f'{known[file]} and {label}'))
    if several:
        raise FolderError(
            f'{len(several)} photo(s) of {table} have several labels, as {several[0][0]} '
            f'({several[0][1]}): this package trains one class for each photo. Choose the main '
            'one, or leave these photos out'
        )
    inside = Inside(root, table, 'give the folder that holds all photos as --data-root')
    try:
        for file in known:
            path = os.path.join(root, file)
            inside.require(path, file, kind_of(path))
    except AnnotationError as error:
        raise FolderError(str(error)) from None
    missing = [file for file in known if not os.path.isfile(os.path.join(root, file))]
    if missing:
        raise FolderError(
            f'{len(missing)} file(s) of {table} are not in {root}, as {printable(missing[0])}'
        )
    classes = sorted(set(known.values()))
    if complete and len(classes) < 2:
        raise FolderError(f'{table} names one class only, {classes[0]!r}: two or more are needed')
    order = {name: i for i, name in enumerate(classes)}
    samples = tuple((file, order[known[file]]) for file in sorted(known))
    named = {os.path.join(root, file) for file in known}
    unnamed = sum(os.path.join(root, photo) not in named for photo in list_images(root)[0])
    told = Counter({f'photo(s) without a line in {Path(table).name}': unnamed} if unnamed else {})
    return FolderScan(root, tuple(classes), samples, told)


def scan_photos(
    root: Path, *, complete: bool = True, labels: str | None = None, group_by: str | None = None
) -> FolderScan:
    """List the photos of class folders or of a table, with their groups if there are any.

    Args:
        root: The folder.
        complete: Whether all classes must exist, as for training.
        labels: A table as for :func:`scan_table`.
        group_by: An expression or a table as for :func:`find_groups`.

    Raises:
        FolderError: If the folder or a table has an error.
    """
    if labels is None:
        scan = scan_class_folders(root, complete=complete)
    else:
        scan = scan_table(root, labels, complete=complete)
    if group_by is not None:
        scan = scan.grouped(find_groups([path for path, _ in scan.samples], group_by))
    given = {'labels': labels, 'group_by': group_by}
    return replace(scan, source={k: v for k, v in given.items() if v is not None})


def find_groups(names: Sequence[str], group_by: str) -> list[str]:
    """Find the group that each photo belongs to.

    Args:
        names: The photos, as paths below their folder.
        group_by: A CSV file with the columns file and group; or a regular expression, whose first
            bracket, or else all that it matches, is the group.

    Raises:
        FolderError: If a photo has no group, the expression is invalid, or all are in one group.
    """
    if group_by.lower().endswith('.csv'):
        known = dict(read_table(group_by, GROUP_COLUMNS))
        found = [known.get(name) for name in names]
    else:
        try:
            pattern = re.compile(group_by)
        except re.error as error:
            raise FolderError(
                f'--group-by {group_by!r} is neither a .csv file nor a regular expression: {error}'
            ) from None
        matches = [pattern.search(name) for name in names]
        found = [m and (m[1] if pattern.groups else m[0]) for m in matches]
    lost = [name for name, group in zip(names, found, strict=True) if not group]
    if lost:
        raise FolderError(
            f'--group-by {group_by} gives {len(lost)} of {len(names)} photos no group, as '
            f'{printable(lost[0])}'
        )
    if len(set(found)) == 1:
        raise FolderError(
            f'--group-by {group_by} puts all photos into one group, {found[0]!r}: none could be '
            'held out'
        )
    return found
