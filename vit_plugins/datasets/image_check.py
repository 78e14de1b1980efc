"""Find, before training, images that are unreadable or that the model sees differently."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import UnidentifiedImageError

from ..fileio.cache_folder import cache_folder
from ..fileio.printable_text import log_line, printable
from ..fileio.progress_bar import tracked
from .folder_scan import FolderError
from .photo_decoding import DAMAGE, JPEG_START, decode_photo, open_within
from .photo_file import read_photo_file
from .photo_limits import LIMITS, PhotoLimits

CMYK_NOTE = 'CMYK colours: shown without their printing profile'


@dataclass(frozen=True)
class ImageReport:
    """The result of reading an image once.

    Attributes:
        problem: The reason why it cannot be read; None if it can.
        notes: What the model does not see of it, see ``decode_photo``.
    """

    problem: str | None = None
    notes: tuple[str, ...] = ()


def inspect_image(
    path: str | os.PathLike, limits: PhotoLimits = LIMITS, *, decodes_later: bool = False
) -> ImageReport:
    """Return whether an image can be read, and what the model does not see of it.

    A JPEG is decoded at an eighth of its size, which reads the whole file in a sixth of the time.
    Other files are decoded by Pillow, too, which notices some that end too early.

    Args:
        path: The image.
        limits: How large the picture may be.
        decodes_later: Whether the caller decodes the image by ``decode_photo`` itself, so that a
            JPEG need not be decoded here.
    """
    try:
        data = read_photo_file(path)
        if not data:
            return ImageReport('the file is empty')
        is_jpeg = data.startswith(JPEG_START)
        with open_within(data, limits) as image:
            side = max(min(image.size) // 8, 1)
            cmyk = image.mode == 'CMYK'
            if not is_jpeg:
                image.load()
        notes: tuple[str, ...] = ()
        if not (is_jpeg and decodes_later):
            _, notes = decode_photo(data, least_side=side, limits=limits)
    except UnidentifiedImageError:
        return ImageReport('not an image, or of an unknown kind')
    except DAMAGE as error:
        return ImageReport(str(error) or type(error).__name__)
    return ImageReport(notes=(*notes, CMYK_NOTE) if cmyk else notes)


def image_problem(path: str | os.PathLike) -> str | None:
    """Return the reason why an image cannot be read; None if it can.

    Args:
        path: The image.
    """
    return inspect_image(path).problem


def check_images(
    root: Path,
    names: Sequence[str],
    *,
    workers: int | None = None,
    progress: bool | None = None,
    limits: PhotoLimits = LIMITS,
) -> list[tuple[str, ImageReport]]:
    """Read every image once, and remember those that could be read.

    Threads do the work: decoding releases the interpreter's lock, and a new process would need
        five
    seconds to import the host. Images that were read are remembered by path, size and time of
    change in the user's cache folder: the images may be on a read-only disk, and the next run, in
    another work dir, should know them, too.

    Args:
        root: The folder.
        names: Paths below ``root``.
        workers: The number of threads. Default: one for each core, at most 16.
        progress: Whether to show a progress bar. Default: if the output is a terminal.
        limits: How large a picture may be.

    Returns:
        Path below ``root`` and report of each image that cannot be read, or that the model sees
        differently than it is stored.
    """
    cache = cache_file(root, limits)
    known = _read_cache(cache)
    marks = {name: _mark(root / name) for name in names}
    reports = {
        name: ImageReport(notes=tuple(known[name][2:]))
        for name in names
        if name in known and known[name][:2] == marks[name]
    }
    fresh = [name for name in names if name not in reports]
    with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 16)) as pool:
        found = pool.map(lambda name: inspect_image(root / name, limits), fresh)
        found = tracked(found, len(fresh), f'Reading the images of {root}', progress)
        reports.update(zip(fresh, found, strict=True))
    if fresh:
        readable = {name: report.notes for name, report in reports.items() if not report.problem}
        marked = {name: [*marks[name], *notes] for name, notes in readable.items() if marks[name]}
        others = {name: entry for name, entry in known.items() if name not in reports}
        _write_cache(cache, {**others, **marked})  # others: of another part of the folder
    return [(name, reports[name]) for name in names if reports[name] != ImageReport()]


def describe_notes(notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Return a line for each kind of information that the model does not see.

    Args:
        notes: The images of each kind.
    """
    for note, names in notes.items():
        more = ' and others' if len(names) > 3 else ''
        named = ', '.join(map(printable, names[:3]))
        yield f'{len(names)} image(s) with {note} ({named}{more})'


def cache_file(root: Path, limits: PhotoLimits = LIMITS) -> Path:
    """Return the file that remembers the readable images of a folder.

    Args:
        root: The folder.
        limits: How large a picture may be.
    """
    digest = sha256(os.fsencode(f'{os.path.realpath(root)}\n{limits}')).hexdigest()[:16]
    return cache_folder('inspected_images') / f'{digest}.json'


def _mark(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _read_cache(path: Path) -> dict[str, list]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # absent or damaged: read the images again
    return known if isinstance(known, dict) else {}


def _write_cache(path: Path, known: dict[str, list]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f'.{os.getpid()}')
        part.write_text(json.dumps(known))
        part.replace(path)
    except OSError:
        return  # if the home folder cannot be written, the images are only read again


def require_readable(
    root: Path, names: Sequence[str], *, skip: bool = False, **kwargs: Any
) -> list[str]:
    """Check that all images are readable, and log those that the model sees differently.

    Args:
        root: The folder.
        names: Paths below ``root``.
        skip: Whether to log the unreadable ones instead.
        **kwargs: As for ``check_images``.

    Returns:
        The unreadable ones.

    Raises:
        FolderError: If an image cannot be read, with its name and the reason.
    """
    found = check_images(root, names, **kwargs)
    bad = [(name, report.problem) for name, report in found if report.problem]
    if bad:
        lines = [f'  {printable(name)}: {why}' for name, why in bad]
        if len(bad) > 20 and not skip:
            lines[20:] = [f'  and {len(bad) - 20} more']
        told = f'{len(bad)} unreadable image(s) in {root}'
        if not skip:
            raise FolderError(
                f'{told}; mend or remove them, or leave them out with --skip-unreadable:\n'
                + '\n'.join(lines)
            )
        log_line(f'{told}, left out:\n' + '\n'.join(lines))
    for line in describe_notes(group_notes(found)):
        log_line(f'{root}: {line}')
    return [name for name, _ in bad]


def group_notes(found: Iterable[tuple[str, ImageReport]]) -> dict[str, list[str]]:
    """Return the images of each note.

    Args:
        found: Images with their reports.
    """
    images: dict[str, list[str]] = {}
    for name, report in found:
        for note in report.notes:
            images.setdefault(note, []).append(name)
    return images
