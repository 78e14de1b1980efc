"""Write ranked photos as JSON, as sheets of pictures and as a page for the browser."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..datasets.photo_decoding import UndecodableError, decode_photo
from ..datasets.photo_file import read_photo_file
from ..evaluation.functional.finite import json_text
from ..fileio.printable_text import printable
from ..visualization.sheets import Picture, crossed_tile, fit_into, picture_sheet
from .downloading import downloaded, is_address
from .search import Answer, Match

THUMBNAIL = 320  # pixels
VIEW = 640  # pixels of the picture that a click on a thumbnail shows
SHEET_PICTURE = 160
QUERY = (204, 102, 0)  # the colour of its frame on a sheet
ROWS_PER_SHEET = 20
STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1a1a1a;--frame:#b34700;--soft:#eee}
@media (prefers-color-scheme:dark){
:root{--back:#161616;--text:#eee;--frame:#ffa657;--soft:#2a2a2a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:90rem;background:var(--back);color:var(--text);
font:1rem/1.4 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.4rem}h2{font-size:1.1rem}
a,summary{color:inherit}summary{min-height:2.75rem;padding:.6rem 0;cursor:pointer}
nav li{padding:.5rem 0}
a:focus-visible,summary:focus-visible{outline:3px solid var(--frame);outline-offset:2px}
.skip{position:absolute;left:-999rem}.skip:focus{position:static}
section ol{list-style:none;margin:0 0 2rem;padding:0;display:grid;gap:.75rem;
grid-template-columns:repeat(auto-fill,minmax(min(10rem,45%),1fr))}
figure{margin:0}figcaption{font-size:.875rem}
img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:var(--soft)}
.query img{outline:3px solid var(--frame);outline-offset:-3px}
"""
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#results">To the results</a>
<h1>{title}</h1>
<p>Each photo is followed by those found, the most similar first, with the cosine of the angle
between their descriptors (1: the same).</p>"""


def write_json(
    answers: Sequence[Answer], unreadable: Sequence[tuple[str, str]], about: dict, file: Path
) -> None:
    """Write the ranked results.

    Args:
        answers: The answers to the queries.
        unreadable: Queries that could not be read, with the reason.
        about: Further entries of the file.
        file: The file to write. A file name that is not UTF-8 is written in the form that Python's
            ``os.fsencode`` accepts.
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
    entry = {'image': match.photo.path, 'similarity': round(match.similarity, 6)}
    return {**entry, 'alike': [_as_entry(m) for m in match.alike]} if match.alike else entry


def write_sheets(answers: Sequence[Answer], folder: Path) -> list[Path]:
    """Write sheets of the queries, framed, with their results beside them.

    Args:
        answers: The answers to the queries.
        folder: The folder for ``sheet_001.png`` and so on, with twenty queries on each.

    Returns:
        The files.
    """
    files = []
    for start in range(0, len(answers), ROWS_PER_SHEET):
        part = answers[start : start + ROWS_PER_SHEET]
        shown = {path: (_picture(path).thumbnail, _name(path)) for path in _shown(part, False)}
        rows = [[_cell('query', *shown[answer.query], frame=QUERY)] for answer in part]
        for row, answer in zip(rows, part, strict=True):
            row += [_cell(f'{m.similarity:.3f}', *shown[m.photo.path]) for m in answer.found]
        files.append(folder / f'sheet_{len(files) + 1:03}.png')
        picture_sheet(rows, SHEET_PICTURE).save(files[-1])
    return files


def _cell(words: str, picture: Image.Image, name: str, **settings: Any) -> Picture:
    return Picture(picture, f'{words}\n{name}', **settings)


def write_page(answers: Sequence[Answer], folder: Path, title: str) -> Path:
    """Write ``index.html`` with its pictures beside it: the folder can be moved and sent.

    Args:
        answers: The answers to the queries.
        folder: The folder to write to.
        title: The title of the page.
    """
    for name in ('thumbnails', 'photos'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    photos = {path: _save_photo(path, folder) for path in _shown(answers, True)}
    title = html.escape(printable(title))
    parts = [HEAD.format(title=title, style=STYLE)]
    if len(answers) > 1:
        parts += ['<nav aria-label="Queries"><details><summary>All queries</summary><ol>']
        parts += [
            f'<li><a href="#query-{number}">{photos[answer.query].words}</a></li>'
            for number, answer in enumerate(answers, 1)
        ]
        parts.append('</ol></details></nav>')
    parts.append('<main id="results">')
    for number, answer in enumerate(answers, 1):
        parts += _section(number, answer, photos)
    parts.append('</main>\n</body>\n</html>')
    page = folder / 'index.html'
    page.write_text('\n'.join(parts) + '\n', encoding='utf-8')
    return page


def _shown(answers: Sequence[Answer], with_alike: bool) -> dict[str, None]:
    """Return the photos of the answers, each once: queries, found photos, near-duplicates."""
    matches = [match for answer in answers for match in answer.found]
    if with_alike:
        matches += [other for match in matches for other in match.alike]
    return dict.fromkeys([a.query for a in answers] + [m.photo.path for m in matches])


@dataclass(frozen=True)
class _PagePhoto:
    """A photo beside the page: its name in HTML, its file, and why it cannot be shown."""

    words: str
    file: str
    problem: str


def _save_photo(path: str, folder: Path) -> _PagePhoto:
    picture = _picture(path)
    place = path if is_address(path) else os.path.abspath(path)
    file = hashlib.sha256(os.fsencode(place)).hexdigest()[:16] + '.jpg'
    picture.thumbnail.save(folder / 'thumbnails' / file, quality=85)
    (folder / 'photos' / file).write_bytes(picture.view)
    return _PagePhoto(html.escape(_name(path)), file, picture.problem)


def _section(number: int, answer: Answer, photos: Mapping[str, _PagePhoto]) -> Iterator[str]:
    query = photos[answer.query]
    yield f'<section aria-labelledby="query-{number}">'
    yield f'<h2 id="query-{number}">{query.words}</h2>'
    yield '<ol>'
    yield f'<li class="query">{_figure(query, "query")}</li>'
    for rank, match in enumerate(answer.found, 1):
        yield f'<li>{_figure(photos[match.photo.path], f"{rank}: {match.similarity:.3f}")}'
        if match.alike:
            yield f'<details><summary>{len(match.alike)} more alike</summary>'
            yield from (_figure(photos[m.photo.path], f'{m.similarity:.3f}') for m in match.alike)
            yield '</details>'
        yield '</li>'
    yield '</ol>'
    if not answer.found:
        yield '<p>The gallery holds no other photo.</p>'
    yield '</section>'


def _figure(photo: _PagePhoto, caption: str) -> str:
    problem = f'<br><strong>{photo.problem}</strong>' if photo.problem else ''
    return (
        f'<figure><a href="photos/{photo.file}"><img loading="lazy" '
        f'src="thumbnails/{photo.file}" alt="{caption}: {photo.words}"></a>'
        f'<figcaption>{caption}<br>{photo.words}{problem}</figcaption></figure>'
    )


def _name(path: str) -> str:
    """Return folder and file name, because the folder often is the class."""
    return printable('/'.join(Path(path).parts[-2:]))


@dataclass(frozen=True)
class _Picture:
    """A small picture of what the model sees of a photo; a crossed tile if it cannot be shown.

    Attributes:
        thumbnail: Its longer side has 320 pixels, so that it is sharp on a phone.
        view: A JPEG file, what a click on the thumbnail shows.
        problem: Why the photo cannot be shown; empty if it is shown.
    """

    thumbnail: Image.Image
    view: bytes
    problem: str = ''


def _picture(path: str) -> _Picture:
    try:
        if is_address(path):
            return _fetched(path)
        stat = os.stat(path)
        return _shrunk(path, stat.st_size, stat.st_mtime_ns)
    except (OSError, UndecodableError):
        tile = crossed_tile(THUMBNAIL)
        is_there = is_address(path) or os.path.exists(path)
        problem = 'the file cannot be read' if is_there else 'the file is gone'
        return _Picture(tile, _jpeg(tile), problem)


# a page and its sheets show the same photos, and queries often find the same ones
@lru_cache(maxsize=512)  # each takes a third of a megabyte
def _shrunk(path: str, size: int, mtime_ns: int) -> _Picture:
    return _small(read_photo_file(path))


@lru_cache(maxsize=64)
def _fetched(address: str) -> _Picture:
    with downloaded(address) as file:
        return _small(file.read_bytes())


def _small(data: bytes) -> _Picture:
    pixels, _ = decode_photo(data, least_side=VIEW * 3 // 4)
    view = fit_into(Image.fromarray(pixels[..., ::-1]), VIEW)
    return _Picture(fit_into(view, THUMBNAIL), _jpeg(view))


def _jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, 'JPEG', quality=85)
    return file.getvalue()
