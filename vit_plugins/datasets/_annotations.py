"""Read the lists that published datasets come with, and say where one is broken."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class AnnotationError(ValueError):
    """A list of images is not as published, or not all of its images are there."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file where an annotation holds something of another kind than it should.

    Args:
        path: The file that is gone through.

    Raises:
        AnnotationError: Instead of a TypeError, ValueError or OverflowError.
    """
    try:
        yield
    except AnnotationError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(f'{path} is broken ({error}): fetch it again') from error


def read_text(path: Path) -> str:
    """Read a list.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If it holds something else than text.
    """
    try:
        return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise AnnotationError(f'{path} is no text ({error}): fetch it again') from None


def read_rows(
    path: Path, columns: Sequence[str], *, header: bool = False, skip: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Read a table whose columns are parted by white space.

    Args:
        path: The file.
        columns: The names of the columns.
        header: Whether a line with these names stands above the rows.
        skip: How many lines stand above it all.

    Yields:
        The number of the line, counted from 1, and its fields.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If the file holds no text, no row, or one with more or fewer columns, or
            if the header is another one.
    """
    lines = read_text(path).rstrip().splitlines()
    if len(lines) <= skip + header:
        raise AnnotationError(f'{path} lists nothing, it has {len(lines)} line(s): fetch it again')
    for number, line in enumerate(lines[skip:], skip + 1):
        fields = line.split()
        if len(fields) != len(columns):
            raise AnnotationError(
                f'{path}, line {number}: {len(columns)} columns are expected '
                f'({", ".join(columns)}), got {len(fields)} in {line!r}'
            )
        if not header or number > skip + 1:
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
        AnnotationError: If it is no number.
    """
    try:
        return int(text)
    except ValueError:
        raise AnnotationError(f'{path}, line {line}: {text!r} is no number') from None


def require_counts(path: Path, found: Mapping[str, int], published: Mapping[str, int]) -> None:
    """Refuse a list that is shorter or longer than the published one.

    Args:
        path: The list, for the message.
        found: What was counted, by name.
        published: How many there should be.

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
            f'{path} lists {" and ".join(wrong)}, so it is not the published file: fetch it '
            'again, or say check_counts=False if it is a part that you chose'
        )


def require_images(paths: Sequence[str], source: Path, most: int = 5) -> None:
    """Refuse a dataset whose list names images that are not on the disk.

    Args:
        paths: The images.
        source: The list that names them, for the message.
        most: How many missing ones to name.

    Raises:
        AnnotationError: If images are missing: how many, and the first of them.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        names = ', '.join(missing[:most])
        raise AnnotationError(
            f'{len(missing):,} of the {len(paths):,} images that {source} lists are missing, as '
            f'{names}{" and more" if len(missing) > most else ""}: the download or its unpacking '
            'was cut short, or the images lie elsewhere'
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
    """Refuse a split that a dataset does not have.

    Args:
        split: The name given.
        splits: The names it may have.

    Raises:
        ValueError: If it is none of them.
    """
    if split not in splits:
        raise ValueError(f'split must be one of {", ".join(splits)}, got {split!r}')
