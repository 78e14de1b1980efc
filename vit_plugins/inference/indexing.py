"""Plan the changes of a gallery, so that it holds the photos that are named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .gallery_entries import Photo


@dataclass(frozen=True)
class IndexPlan:
    """The changes that a gallery needs; paths are absolute.

    Attributes:
        add: New photos.
        changed: Indexed photos whose files have changed.
        gone: Indexed photos among the named ones whose files no longer exist.
        kept: Indexed photos that have not changed.
    """

    add: list[str]
    changed: list[str]
    gone: list[str]
    kept: list[str]


def plan_index(indexed: Sequence[Photo], images: Iterable[str], names: Iterable[str]) -> IndexPlan:
    """Compare a gallery with the files on the disk.

    Args:
        indexed: The photos of the gallery.
        images: The files that exist.
        names: The files, folders and globs that were named; only photos among these can be gone.
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
    """Select the paths that are named, even if the files no longer exist.

    Args:
        paths: Absolute paths.
        names: Files, folders (everything below them counts) and globs.
    """
    wanted = [os.path.abspath(name) for name in names]
    return [path for path in paths if any(_is_within(path, name) for name in wanted)]


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith(name.rstrip(os.sep) + os.sep) or fnmatchcase(path, name)
