"""Ranked photos as JSON, as sheets of pictures and as a page for the browser."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from ..datasets.photo_decoding import UndecodableError, decode_photo
from ..evaluation.functional.finite import json_text
from ..fileio.printable_text import printable
from ..visualization.sheets import Picture, fit_into, picture_sheet
from .search import Answer, Match

THUMBNAIL = 160  # pixels
ROWS_PER_SHEET = 20
STYLE = (
    'body{font:14px sans-serif;margin:2em}div{display:flex;gap:8px;margin:4px 0 28px;'
    'overflow-x:auto}figure{margin:0}figure.query img{outline:3px solid #c60}'
    f'img{{height:{THUMBNAIL}px}}figcaption{{max-width:200px;overflow-wrap:anywhere}}'
)


def write_json(
    answers: Sequence[Answer], unreadable: Sequence[tuple[str, str]], about: dict, file: Path
) -> None:
    """Write the ranked results.

    Args:
        answers: What was found.
        unreadable: Queries that could not be read, with the reason.
        about: What else to put in.
        file: Where to. A file name that is not UTF-8 is written as Python's ``os.fsencode``
            takes it back.
    """
    queries = [
        {
            'image': answer.query,
            'results': [
                {'rank': rank, **_as_entry(match)} for rank, match in enumerate(answer.found, 1)
            ],
        }
        for answer in answers
    ]
    bad = [{'image': path, 'reason': why} for path, why in unreadable]
    text = json_text({**about, 'queries': queries, 'unreadable': bad}, indent=2)
    file.write_text(text + '\n', encoding='utf-8')


def _as_entry(match: Match) -> dict[str, Any]:
    entry = {'image': match.path, 'similarity': round(match.similarity, 6)}
    return {**entry, 'alike': [_as_entry(m) for m in match.alike]} if match.alike else entry


def write_sheets(answers: Sequence[Answer], folder: Path) -> list[Path]:
    """Draw the queries, framed, with their results beside them.

    Args:
        answers: What was found.
        folder: Where ``sheet_001.png`` and so on are written, twenty queries on each.

    Returns:
        The files.
    """
    files = []
    for start in range(0, len(answers), ROWS_PER_SHEET):
        rows = [
            [
                Picture(_thumbnail(answer.query), f'query\n{_name(answer.query)}', (204, 102, 0)),
                *(
                    Picture(_thumbnail(photo.path), f'{similarity:.3f}\n{_name(photo.path)}')
                    for similarity, photo, _ in answer.found
                ),
            ]
            for answer in answers[start : start + ROWS_PER_SHEET]
        ]
        files.append(folder / f'sheet_{len(files) + 1:03}.png')
        picture_sheet(rows, THUMBNAIL).save(files[-1])
    return files


def write_page(answers: Sequence[Answer], folder: Path, title: str) -> Path:
    """Write ``index.html`` with its thumbnails beside it: the folder can be moved and sent.

    Args:
        answers: What was found.
        folder: Where to.
        title: Of the page.
    """
    (folder / 'thumbnails').mkdir(parents=True, exist_ok=True)
    shown = (path for a in answers for path in (a.query, *(match.path for match in a.found)))
    for path in dict.fromkeys(shown):
        _thumbnail(path).save(folder / _thumbnail_name(path), quality=85)
    title = html.escape(printable(title))
    parts = [
        f'<!doctype html><meta charset="utf-8"><title>{title}</title>',
        f'<style>{STYLE}</style><h1>{title}</h1>',
    ]
    for answer in answers:
        parts.append('<div>' + _figure(answer.query, 'query', ' class="query"'))
        parts += [
            _figure(match.path, f'{rank}: {match.similarity:.3f}')
            for rank, match in enumerate(answer.found, 1)
        ]
        parts.append('</div>')
    page = folder / 'index.html'
    page.write_text('\n'.join(parts) + '\n', encoding='utf-8')
    return page


def _figure(path: str, caption: str, kind: str = '') -> str:
    link = 'file://' + quote(os.path.abspath(path), errors='surrogateescape')
    words = f'{html.escape(caption)}<br>{html.escape(_name(path))}'
    return (
        f'<figure{kind}><a href="{link}"><img loading="lazy" src="{_thumbnail_name(path)}"></a>'
        f'<figcaption>{words}</figcaption></figure>'
    )


def _thumbnail_name(path: str) -> str:
    digest = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()
    return f'thumbnails/{digest[:16]}.jpg'


def _name(path: str) -> str:
    """Return folder and file: the folder often is the class."""
    return printable('/'.join(Path(path).parts[-2:]))


def _thumbnail(path: str) -> Image.Image:
    """Return a small picture of what the model sees; grey if the photo has gone since."""
    try:
        stat = os.stat(path)
        return _shrunk(path, stat.st_size, stat.st_mtime_ns)
    except (OSError, UndecodableError):
        return Image.new('RGB', (THUMBNAIL, THUMBNAIL), (200, 200, 200))


# a page and its sheets show the same photos, and queries often find the same ones
@lru_cache(maxsize=1024)  # 77 kB each
def _shrunk(path: str, size: int, mtime_ns: int) -> Image.Image:
    pixels, _ = decode_photo(Path(path).read_bytes(), least_side=2 * THUMBNAIL)
    return fit_into(Image.fromarray(pixels[..., ::-1]), THUMBNAIL)
