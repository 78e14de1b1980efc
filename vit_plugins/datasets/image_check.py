"""Find unreadable images before a training run does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from .folder_scan import FolderError


def image_problem(path: str | os.PathLike) -> str | None:
    """Tell why an image cannot be read, None if it can.

    Pillow notices a file that ends too early, which some versions of OpenCV fill with grey;
    OpenCV is what the host's loader reads with. Both take a JPEG at an eighth of its size, which
    reads the whole file in a sixth of the time.

    Args:
        path: The image.
    """
    try:
        data = Path(path).read_bytes()
        if not data:
            return 'the file is empty'
        with Image.open(BytesIO(data)) as image:
            jpeg = image.format == 'JPEG'
            image.draft(None, (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()
        flag = cv2.IMREAD_REDUCED_COLOR_8 if jpeg else cv2.IMREAD_COLOR
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except UnidentifiedImageError:
        return 'not an image, or of an unknown kind'
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        return str(error) or type(error).__name__
    return 'OpenCV cannot decode it' if pixels is None else None


def check_images(
    root: Path, names: Sequence[str], *, workers: int | None = None, progress: bool | None = None
) -> list[tuple[str, str]]:
    """Read every image once, and remember those that could be read.

    Threads do the work: decoding releases the interpreter's lock, and a new process would spend
    five seconds on importing the host. What was read is remembered by path, size and time of
    change in the user's cache folder, as the images may lie on a read-only disk, and the next
    run, in another work dir, should know it too.

    Args:
        root: The folder.
        names: Paths below ``root``.
        workers: The number of threads. Default: one for each core, at most 16.
        progress: Whether to draw a progress bar. Default: if a person watches.

    Returns:
        Path below ``root`` and reason of each image that cannot be read.
    """
    cache = cache_file(root)
    known = _read_cache(cache)
    marks = {name: _mark(root / name) for name in names}
    fresh = [name for name in names if known.get(name) != marks[name]]
    with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 16)) as pool:
        found = pool.map(lambda name: image_problem(root / name), fresh)
        problems = list(tracked(found, len(fresh), f'Reading the images of {root}', progress))
    bad = [(name, why) for name, why in zip(fresh, problems, strict=True) if why]
    unreadable = {name for name, _ in bad}
    if fresh:
        _write_cache(cache, {n: mark for n, mark in marks.items() if n not in unreadable})
    return bad


def cache_file(root: Path) -> Path:
    """Tell where the readable images of a folder are remembered.

    Args:
        root: The folder.
    """
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    digest = sha256(os.path.realpath(root).encode()).hexdigest()[:16]
    return base / 'vit_plugins' / 'readable_images' / f'{digest}.json'


def tracked(found: Iterable, total: int, title: str, progress: bool | None = None) -> Iterable:
    """Draw a progress bar on stderr while something is gone through.

    Args:
        found: What to go through.
        total: How many there are.
        title: What is being done.
        progress: Whether to draw it. Default: if a person watches.
    """
    if not (sys.stderr.isatty() if progress is None else progress) or not total:
        return found
    from rich.console import Console
    from rich.progress import track

    return track(found, title, total, console=Console(stderr=True))


def _mark(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _read_cache(path: Path) -> dict[str, list[int]]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # absent or damaged: read the images again
    return known if isinstance(known, dict) else {}


def _write_cache(path: Path, known: dict[str, list[int] | None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f'.{os.getpid()}')
        part.write_text(json.dumps(known))
        part.replace(path)
    except OSError:
        return  # a home that cannot be written costs a second reading, no more


def require_readable(root: Path, names: Sequence[str], **kwargs: Any) -> None:
    """Refuse a folder with unreadable images.

    Args:
        root: The folder.
        names: Paths below ``root``.
        **kwargs: As for ``check_images``.

    Raises:
        FolderError: If an image cannot be read, with its name and the reason.
    """
    bad = check_images(root, names, **kwargs)
    if bad:
        lines = [f'  {name}: {why}' for name, why in bad[:20]]
        if len(bad) > 20:
            lines.append(f'  and {len(bad) - 20} more')
        raise FolderError(
            f'{len(bad)} unreadable image(s) in {root}; mend or remove them:\n' + '\n'.join(lines)
        )
