"""List the files below a folder, and remember the listing until the folder changes.

One run needs the listing of the same folder several times: to describe it, and for each dataset
that reads some of it. On a network disk a listing of a million files takes minutes. Therefore it
is
kept as long as the process runs, and checked by one ``stat`` for each folder. It is kept in a few
large strings, because datasets have lists of their own.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..fileio.run_record import LOCK

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
# made by file servers and operating systems, in lower case; those with a dot are hidden anyway
SYSTEM_FOLDERS = (
    *('__macosx', '@eadir', '@tmp', '@synoresource', '@recycle', '@recently-snapshot'),
    *('#recycle', '#snapshot', '$recycle.bin', 'system volume information'),
    *('lost+found', 'network trash folder', 'temporary items', 'found.000'),
)
# made by this package, perhaps beside the photos: work dirs, galleries, results of a search
OWN_FOLDERS = ('work_dirs',)
OWN_CONTENTS = ((LOCK,), ('gallery.json',), ('index.html', 'results.json'))
SYSTEM_FILES = ('thumbs.db', 'ehthumbs.db', 'desktop.ini')
# A folder that changed this recently may change again with the same time of change: the clocks
# of file systems have steps, those of FAT of two seconds.
SETTLED_AFTER = 2 * 10**9  # nanoseconds
KEPT_TREES = 8

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class FolderTree:
    """The images of class folders, as they were listed.

    Attributes:
        names: The class folders, sorted.
        images: For each, the paths of its images below it, sorted and joined by NUL.
        skipped: For each, how many other files there are, by kind.
        beside: How many files and system folders lie beside the class folders, by kind.
        stamps: Each listed folder, with values that change when its entries change.
        settled: Whether a later change of these folders would change the stamps.
        splits: Fraction and seed to the indices of training and validation images.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    skipped: tuple[Counter[str], ...]
    beside: Counter[str]
    stamps: dict[str, Stamp | None]
    settled: bool
    splits: dict[tuple[float, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def images_of(self, number: int) -> list[str]:
        """List the images of a class folder, as paths below it, with ``/``.

        Args:
            number: The number of the folder.
        """
        joined = self.images[number]
        return joined.split('\0') if joined else []

    def is_current(self) -> bool:
        """Return whether the folders have not changed since they were listed."""
        return self.settled and all(_stamp(f) == stamp for f, stamp in self.stamps.items())


_trees: dict[str, FolderTree] = {}


def read_tree(root: str | os.PathLike) -> FolderTree:
    """List the images of the class folders of a folder, or return a listing that is current.

    Args:
        root: The folder.

    Raises:
        OSError: If the folder cannot be opened.
    """
    key = os.path.abspath(root)
    tree = _trees.get(key)
    if tree is None or not tree.is_current():
        tree = _list_tree(key)
    remember_trees({key: tree})
    return tree


def known_trees() -> dict[str, FolderTree]:
    """Return the listings that this process remembers, for processes that share the disk."""
    return dict(_trees)


def remember_trees(trees: Mapping[str, FolderTree]) -> None:
    """Remember listings; the oldest are forgotten.

    Args:
        trees: Absolute path of a folder to its listing.
    """
    for key, tree in trees.items():
        _trees.pop(key, None)
        _trees[key] = tree
    for key in list(_trees)[:-KEPT_TREES]:
        del _trees[key]


def _list_tree(root: str) -> FolderTree:
    stamps = {root: _stamp(root)}
    entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    names = [e.name for e in entries if is_folder(e) and not is_skipped_folder(e.path)]
    images, skipped = [], []
    for name in names:
        found, others = list_images(Path(root, name), stamps)
        images.append('\0'.join(found))
        skipped.append(others)
    latest = max((stamp[0] for stamp in stamps.values() if stamp), default=0)
    return FolderTree(
        tuple(names),
        tuple(images),
        tuple(skipped),
        Counter(kind for entry in entries if (kind := _kind_beside(entry))),
        stamps,
        settled=latest + SETTLED_AFTER < time.time_ns(),
    )


def list_images(
    folder: Path, stamps: dict[str, Stamp | None] | None = None
) -> tuple[list[str], Counter[str]]:
    """Return the images anywhere below a folder, sorted, and count what is left out.

    Args:
        folder: The folder.
        stamps: Filled with each folder that was listed.

    Returns:
        Paths relative to ``folder``, with ``/``, and the count of other files by suffix, of
        folders that are skipped (see :func:`is_skipped_folder`) by name and ``/``.
    """
    images: list[str] = []
    skipped: Counter[str] = Counter()
    stamps = {} if stamps is None else stamps

    def visit(folder: str, prefix: str, above: tuple[str, ...]) -> None:
        stamps[folder] = _stamp(folder)  # before the listing, to notice changes during it
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            skipped[f'folder that cannot be opened ({error.strerror})'] += 1
            return
        for entry in entries:
            if is_folder(entry):
                real = os.path.realpath(entry.path)
                if is_skipped_folder(entry.path):
                    skipped[f'{entry.name}/'] += 1
                elif real not in above:  # a link to a folder that contains it would never end
                    visit(entry.path, f'{prefix}{entry.name}/', (*above, real))
            elif (suffix := _suffix(entry)) in IMAGE_SUFFIXES:
                images.append(prefix + entry.name)
            else:
                skipped[suffix] += 1

    visit(os.fspath(folder), '', (os.path.realpath(folder),))
    return sorted(images), skipped


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder or a link to one; a link to itself is none.

    Args:
        entry: The entry.
    """
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_skipped_folder(path: str | os.PathLike) -> bool:
    """Return whether a folder is hidden, or made by a file server, a system or this package.

    Args:
        path: The folder.
    """
    name = os.path.basename(path)
    if name.startswith('.') or name.lower() in SYSTEM_FOLDERS or name in OWN_FOLDERS:
        return True
    return any(all(os.path.isfile(os.path.join(path, f)) for f in files) for files in OWN_CONTENTS)


def _stamp(folder: str) -> Stamp | None:
    try:
        stat = os.stat(folder)
    except OSError:
        return None
    # the times of change of the entries and of the folder's rights, and the folder's identity
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _suffix(entry: os.DirEntry) -> str:
    if entry.name.startswith('.'):
        return '(hidden)'
    if not _is_file(entry):
        return '(broken link)' if entry.is_symlink() else '(no file)'
    if entry.name.lower() in SYSTEM_FILES:
        return entry.name
    return Path(entry.name).suffix.lower() or '(no suffix)'


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _kind_beside(entry: os.DirEntry) -> str:
    """Return the kind of an entry beside the class folders; empty for a class folder."""
    if is_folder(entry):
        return f'{entry.name}/' if is_skipped_folder(entry.path) else ''
    suffix = _suffix(entry)
    return f'{suffix} beside the class folders' if suffix in IMAGE_SUFFIXES else suffix
