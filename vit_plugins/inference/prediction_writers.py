"""Write predictions one by one as CSV, JSON, JSON lines or a table."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from typing import Any, TextIO

from ..fileio.printable_text import printable, spreadsheet_cell, spreadsheet_path
from .classify import Prediction


class PredictionWriter(ABC):
    """Writer of the answers to images, one after the other.

    Args:
        file: The file to write to.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    @abstractmethod
    def add(self, answer: Prediction) -> None:
        """Write an answer.

        Args:
            answer: The classes of an image, or the reason why it cannot be read.
        """

    def close(self, finished: bool = True) -> None:  # noqa: B027  (most have nothing left)
        """Write what is left.

        Args:
            finished: Whether all images were processed.
        """


class CsvWriter(PredictionWriter):
    """A line for each image: its path, class and probability, highest first, and its problem.

    An image that cannot be read has a ``problem`` and no class. Names that a spreadsheet program
    would run as a formula are escaped.

    Args:
        file: The file to write to, opened with ``newline=''`` as ``csv`` needs it.
    """

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.rows = csv.writer(file)
        self.width = 0  # classes of a line, as of the first readable image
        self.waiting: list[Prediction] = []  # unreadable ones before it

    def add(self, answer: Prediction) -> None:
        """Write an answer.

        Args:
            answer: The classes of an image, or the reason why it cannot be read.
        """
        if answer.problem is not None and not self.width:
            self.waiting.append(answer)
            return
        self._begin(len(answer.classes))
        self._write(answer)
        self.file.flush()

    def close(self, finished: bool = True) -> None:
        """Write the rest.

        Args:
            finished: Whether all images were processed.
        """
        self._begin(1)

    def _begin(self, width: int) -> None:
        """Write the header, and the images that have waited for it."""
        if self.width:
            return
        self.width = width
        ranks = ['', *(f'_{rank}' for rank in range(2, width + 1))]
        names = [name + rank for rank in ranks for name in ('class', 'probability')]
        self.rows.writerow(['image', *names, 'problem'])
        for answer in self.waiting:
            self._write(answer)

    def _write(self, answer: Prediction) -> None:
        cells = [cell for c, p in answer.classes for cell in (spreadsheet_cell(c), f'{p:.6f}')]
        cells += [''] * (2 * self.width - len(cells))
        problem = spreadsheet_cell(answer.problem or '')
        self.rows.writerow([spreadsheet_path(answer.image), *cells, problem])


class JsonWriter(PredictionWriter):
    """Writer of one object with the readable images and, after them, the unreadable ones.

    File names that are not UTF-8 are written as Python's ``os.fsencode`` takes them back.

    Args:
        file: The file to write to.
        about: Further entries of the object.
    """

    def __init__(self, file: TextIO, about: dict[str, Any] | None = None) -> None:
        super().__init__(file)
        self.unreadable: list[dict[str, str]] = []
        self.separator = '\n'
        entries = ''.join(f'  {_json(k)}: {_json(v)},\n' for k, v in (about or {}).items())
        file.write('{\n' + entries + '  "images": [')

    def add(self, answer: Prediction) -> None:
        """Write an answer.

        Args:
            answer: The classes of an image, or the reason why it cannot be read.
        """
        if answer.problem is not None:
            self.unreadable.append(_as_entry(answer))
            return
        self.file.write(f'{self.separator}    {_json(_as_entry(answer))}')
        self.file.flush()
        self.separator = ',\n'

    def close(self, finished: bool = True) -> None:
        """Write what is left; the file is whole JSON then.

        Args:
            finished: Whether all images were processed; if not, the file says ``interrupted``.
        """
        entries = ',\n    '.join(map(_json, self.unreadable))
        entries = f'\n    {entries}\n  ' if entries else ''
        end = '' if finished else ',\n  "interrupted": true'
        self.file.write(f'\n  ],\n  "unreadable": [{entries}]{end}\n}}\n')
        self.file.flush()


class JsonLinesWriter(PredictionWriter):
    """Writer of one JSON object per line and image; unreadable images have a ``reason``."""

    def add(self, answer: Prediction) -> None:
        """Write an answer.

        Args:
            answer: The classes of an image, or the reason why it cannot be read.
        """
        self.file.write(f'{_json(_as_entry(answer))}\n')
        self.file.flush()


class TableWriter(PredictionWriter):
    """Writer of a line for each readable image, to be read on a terminal."""

    def add(self, answer: Prediction) -> None:
        """Write an answer.

        Args:
            answer: The classes of an image, or the reason why it cannot be read.
        """
        if answer.problem is None:
            words = ', '.join(f'{printable(c)} {100 * p:.1f} %' for c, p in answer.classes)
            self.file.write(f'{printable(answer.image)}\t{words}\n')
            self.file.flush()


def _as_entry(answer: Prediction) -> dict[str, Any]:
    if answer.problem is not None:
        return {'image': answer.image, 'reason': answer.problem}
    found = [{'class': name, 'probability': round(p, 6)} for name, p in answer.classes]
    return {'image': answer.image, 'predictions': found}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
