"""What has to be done for a gallery to hold the photos that are named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .gallery import Photo


@dataclass(frozen=True)
class IndexPlan:
    """Photos by what has to be done with them; paths are absolute.

    Attributes:
        add: New ones.
        changed: Indexed ones whose files are others now.
        gone: Indexed ones among those named whose files are no more.
        kept: Indexed ones that are as they were.
    """

    add: list[str]
    changed: list[str]
    gone: list[str]
    kept: list[str]


def plan_index(indexed: Sequence[Photo], images: Iterable[str], names: Iterable[str]) -> IndexPlan:
    """Compare a gallery with files.

    Args:
        indexed: The photos of the gallery.
        images: The files that are there.
        names: The files, folders and globs that were named; only of these can photos be gone.
    """
    known = {photo.path: photo.state() for photo in indexed}
    here = list(dict.fromkeys(os.path.abspath(image) for image in images))
    states = {path: known.get(path, 'new') for path in here}
    gone = [path for path, state in known.items() if state == 'gone']
    return IndexPlan(
        add=[path for path, state in states.items() if state == 'new'],
        changed=[path for path, state in states.items() if state == 'changed'],
        gone=within(gone, names),
        kept=[path for path, state in states.items() if state == 'same'],
    )


def within(paths: Iterable[str], names: Iterable[str]) -> list[str]:
    """Select the paths that are named, also if there are no such files any more.

    Args:
        paths: Absolute ones.
        names: Files, folders (of which all that lies below counts) and globs.
    """
    wanted = [os.path.abspath(name) for name in names]
    return [path for path in paths if any(_is_within(path, name) for name in wanted)]


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith(name.rstrip(os.sep) + os.sep) or fnmatchcase(path, name)
