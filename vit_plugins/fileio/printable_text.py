"""Convert names of files and classes to text that terminals, tables and pages can show.

A file name on Linux consists of bytes. Python keeps bytes that are not UTF-8 as lone surrogates,
which no encoding can write. Names may also hold control characters, which terminals obey.
"""

from __future__ import annotations

import io
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

from mmengine.logging import print_log

UNSEEN = ('Cc', 'Cs', 'Zl', 'Zp')  # control, lone surrogate, line and paragraph ends
REORDERING = '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'  # gpj.x may show as x.jpg
FORMULA_STARTS = ('=', '+', '-', '@', '\t', '\r')


def printable(text: str) -> str:
    r"""Return a text with its invisible characters escaped, always valid Unicode.

    Args:
        text: Any text, such as a path.

    Examples:
        >>> printable('caf\udce9 \x1b[2J.jpg')
        'caf\\udce9 \\x1b[2J.jpg'
    """
    if text.isascii() and text.isprintable():
        return text
    return ''.join(
        char.encode('unicode_escape').decode() if _is_unseen(char) else char for char in text
    )


def printable_lines(lines: Iterable[str]) -> list[str]:
    """Return each line in the form of :func:`printable`.

    Args:
        lines: Texts without line breaks.
    """
    return [printable(line) for line in lines]


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return the first of some names, and how many more there are.

    Args:
        names: The names.
        most: How many of them are written out.

    >>> listed(['cat', 'dog', 'ox'], most=2)
    'cat, dog and 1 more'
    """
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def spreadsheet_cell(text: str) -> str:
    """Return a text that spreadsheet programs do not run as a formula.

    Args:
        text: The text of a cell.

    Examples:
        >>> spreadsheet_cell('=1+1'), spreadsheet_cell('-1')
        ("'=1+1", '-1')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) and not _is_number(text) else text


def spreadsheet_path(path: str) -> str:
    """Return a path to the same file that spreadsheet programs do not run as a formula.

    Args:
        path: Relative or absolute.

    Examples:
        >>> spreadsheet_path('=x.jpg')
        './=x.jpg'
    """
    return f'./{path}' if path.startswith(FORMULA_STARTS) else path


def write_any_character(*streams: TextIO) -> None:
    """Set streams to escape characters that their encoding lacks, instead of raising an error.

    Args:
        *streams: Default: stdout and stderr.
    """
    for stream in streams or (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def log_line(text: str) -> None:
    """Log a line with names of files and classes, also if the console cannot show them.

    Args:
        text: The line.
    """
    encoding = getattr(sys.stdout, 'encoding', None) or 'utf-8'
    print_log(text.encode(encoding, 'backslashreplace').decode(encoding))


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in UNSEEN or char in REORDERING


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
