"""Load the lists of published datasets, and report where a list is damaged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset

from ..fileio.documented_errors import documented_errors
from ..fileio.printable_text import printable


class AnnotationError(ValueError):
    """A list of images is not as published, or some of its images are missing."""


class ListedImages(BaseDataset):
    """A dataset with lists of images, which are below its folder.

    Args:
        data_root: The folder.
        allow_outside: Whether the lists may name images outside the folder.
        **kwargs: Further arguments of ``BaseDataset``.
    """

    def __init__(self, data_root: str, allow_outside: bool = False, **kwargs: Any) -> None:
        self.allow_outside = allow_outside
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def place(self, folder: str | Path, names: Iterable[str], source: Path) -> list[str]:
        """Return the paths of the images of a list, see :func:`place_images`.

        Args:
            folder: The folder that the names are relative to.
            names: The images.
            source: The list.
        """
        root = None if self.allow_outside else self.data_root
        return place_images(Path(folder), names, source, root)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in the error if an annotation has content of a wrong type.

    Args:
        path: The file that is read.

    Raises:
        AnnotationError: Instead of any other error.
    """

    def told(text: str) -> AnnotationError:
        return AnnotationError(f'{path} is damaged ({text}): download it again')

    with documented_errors(AnnotationError, otherwise=told):
        yield


def read_text(path: Path) -> str:
    """Read a list, in UTF-8 with or without a byte order mark.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If it is not a text file.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise AnnotationError(f'{path} is not a text file ({error}): download it again') from None


def read_rows(
    path: Path, columns: Sequence[str], *, header: bool = False, skip: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Read a table whose columns are separated by white space; blank lines are skipped.

    Args:
        path: The file.
        columns: The names of the columns.
        header: Whether a line with these names comes before the rows.
        skip: The number of lines before the table.

    Yields:
        The number of the line, counted from 1, and its fields.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If the file is not a text file, has no row or another header, or has a
            row with more or fewer columns.
    """
    lines = [
        (number, line)
        for number, line in enumerate(read_text(path).splitlines(), 1)
        if line.strip()
    ]
    if len(lines) <= skip + header:
        raise AnnotationError(
            f'{path} lists no images, it has {len(lines)} line(s): download it again'
        )
    for row, (number, line) in enumerate(lines[skip:]):
        fields = line.split()
        if len(fields) != len(columns):
            raise AnnotationError(
                f'{path}, line {number}: {len(columns)} columns are expected '
                f'({", ".join(columns)}), got {len(fields)} in {line!r}'
            )
        if not header or row > 0:
            yield number, fields
        elif fields != list(columns):
            raise AnnotationError(
                f'{path}, line {number}: the header {" ".join(columns)!r} is expected, got '
                f'{line!r}'
            )


def read_number(text: str, path: Path, line: int) -> int:
    """Read a number of a table.

    Args:
        text: The field.
        path: The file, for the message.
        line: The number of the line, for the message.

    Raises:
        AnnotationError: If it is not a number.
    """
    try:
        return int(text)
    except ValueError:
        raise AnnotationError(f'{path}, line {line}: {text!r} is not a number') from None


def require_counts(path: Path, found: Mapping[str, int], published: Mapping[str, int]) -> None:
    """Check that a list is as long as the published one.

    Args:
        path: The list, for the message.
        found: The counts, by name.
        published: The published counts.

    Raises:
        AnnotationError: If a number differs.
    """
    wrong = [
        f'{found[name]:,} {name} instead of {n:,}'
        for name, n in published.items()
        if found[name] != n
    ]
    if wrong:
        raise AnnotationError(
            f'{path} lists {" and ".join(wrong)}, so it is not the published file: download it '
            'again, or set check_counts=False if it is your own selection'
        )


def place_images(
    folder: Path, names: Iterable[str], source: Path, root: str | Path | None, most: int = 5
) -> list[str]:
    """Return the paths of the images of a list, and check that all are files in the data root.

    Args:
        folder: The folder that the names are relative to.
        names: The images, as they are in the list.
        source: The list, for the message.
        root: The folder that must contain all images; ``..``, absolute paths and links may not
            lead out of it. None allows any folder.
        most: How many missing images to name.

    Raises:
        AnnotationError: If an image leads out of the root, or images are missing; the message has
            their number and names the first ones.
    """
    inside = None if root is None else Inside(root, source)
    paths, missing = [], []
    for name in names:
        path = os.path.join(folder, name)
        kind = kind_of(path)
        if inside is not None:
            inside.require(path, name, kind)
        if not stat.S_ISREG(kind) and not (stat.S_ISLNK(kind) and os.path.isfile(path)):
            missing.append(path)
        paths.append(path)
    if missing:
        shown = ', '.join(map(printable, missing[:most]))
        raise AnnotationError(
            f'{len(missing):,} of the {len(paths):,} images that {source} lists are missing, as '
            f'{shown}{" and more" if len(missing) > most else ""}: the download or its unpacking '
            'was interrupted, or the images are in another folder'
        )
    return paths


def kind_of(path: str) -> int:
    """Return the type of a file, its ``st_mode`` by ``lstat``; 0 if it does not exist.

    Args:
        path: The file.
    """
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return 0


class Inside:
    """Check that names do not lead out of a folder; each folder is looked up once.

    Args:
        root: The folder.
        source: The file that lists the names, for the message.
        remedy: What to do if the name is intended, for the message.
    """

    def __init__(
        self,
        root: str | Path,
        source: str | Path,
        remedy: str = 'for example because the images are on another disk, set '
        'allow_outside=True in the dataset',
    ) -> None:
        self.root = os.path.realpath(root)
        self.source = source
        self.remedy = remedy
        self._known: set[str] = set()

    def require(self, path: str, name: str, kind: int) -> None:
        """Check that a file is below the root.

        Args:
            path: The file.
            name: Its name in the list.
            kind: Its ``st_mode`` by ``lstat``, 0 if it does not exist.

        Raises:
            AnnotationError: If it is elsewhere.
        """
        folder = os.path.dirname(path)
        if stat.S_ISLNK(kind):
            self._require(path, name)
        elif folder not in self._known and '\0' not in folder:
            self._require(folder, name)
            self._known.add(folder)

    def _require(self, path: str, name: str) -> None:
        real = os.path.realpath(path)
        if not f'{real}{os.sep}'.startswith(f'{self.root.rstrip(os.sep)}{os.sep}'):
            raise AnnotationError(
                f'{self.source} lists {printable(name)!r}, which leads out of {self.root} to '
                f'{printable(real)}. If this is intended, {self.remedy}'
            )


def dense_labels(names: Sequence[str | int]) -> list[int]:
    """Number the classes from 0 in the order of their names.

    Args:
        names: The class of each sample.

    Examples:
        >>> dense_labels([7, 3, 7, 5])
        [2, 0, 2, 1]
    """
    order = {name: label for label, name in enumerate(sorted(set(names)))}
    return [order[name] for name in names]


def require_split(split: str, splits: Sequence[str]) -> None:
    """Check that a dataset has a split.

    Args:
        split: The name given.
        splits: The names it may have.

    Raises:
        ValueError: If it is none of them.
    """
    if split not in splits:
        raise ValueError(f'split must be one of {", ".join(splits)}, got {split!r}')
