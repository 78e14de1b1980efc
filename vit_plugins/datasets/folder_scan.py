"""What lies in a folder of class folders. Names only: no image is opened here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .unfit_data import UnfitDataError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
PART_NAMES = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}


class FolderError(UnfitDataError):
    """A folder of images is not as it should be; the message names what and where."""


@dataclass(frozen=True)
class FolderScan:
    """The images of a folder of class folders.

    Attributes:
        root: The folder.
        classes: The names of the class folders, sorted.
        samples: Path below ``root`` (with ``/``) and class number of every image.
        skipped: How many files were left out, by suffix.
    """

    root: Path
    classes: tuple[str, ...]
    samples: tuple[tuple[str, int], ...]
    skipped: Counter[str]

    def counts(self) -> list[int]:
        """Count the images of each class."""
        counter = Counter(label for _, label in self.samples)
        return [counter[i] for i in range(len(self.classes))]


def find_parts(root: Path) -> dict[str, Path]:
    """Tell which folder holds the images for training, validation and test.

    ``root`` either holds the class folders itself, or ``train`` with class folders inside and
    perhaps ``val`` and ``test`` beside it (upper case and longer spellings are understood).

    Args:
        root: The folder that a person named.

    Returns:
        ``{'train': folder}``, with 'val' and 'test' where there are such folders.

    Raises:
        FolderError: If it is no folder, or ``train`` may be a part as well as a class.
    """
    if not root.is_dir():
        raise FolderError(f'{root} is not a folder: give the one that holds the class folders')
    folders = _folders(root)
    by_name = {folder.name.lower(): folder for folder in folders}
    parts = {
        part: next((by_name[n] for n in names if n in by_name), None)
        for part, names in PART_NAMES.items()
    }
    if parts['train'] is None or not _folders(parts['train']):
        if parts['train'] is None and folders and all(f in parts.values() for f in folders):
            raise FolderError(
                f'{root} holds {_names(folders)} but no train folder: classes come from the '
                'training part, so put its class folders in train'
            )
        return {'train': root}
    others = [folder for folder in folders if folder not in parts.values()]
    if others and parts['val'] is None and parts['test'] is None:
        raise FolderError(
            f'{root} holds train with folders inside and, beside it, {_names(others)}: if train '
            'is the training part, move the others away; if it is a class, put the folders of '
            f'all classes into {root / "train"}'
        )
    return {part: folder for part, folder in parts.items() if folder is not None}


def scan_class_folders(root: Path) -> FolderScan:
    """List the images below the class folders of a folder.

    A class folder may hold further folders. Links are followed, once. What begins with a dot
    and ``__MACOSX`` is no class.

    Args:
        root: The folder that holds the class folders.

    Raises:
        FolderError: If there are fewer than two class folders, or one holds no image.
    """
    folders = _folders(root)
    if not folders:
        raise FolderError(
            f'{root} holds no class folders: put the images of each class into a folder of its '
            f'own, as in {root / "cat" / "1.jpg"} and {root / "dog" / "1.jpg"}'
        )
    if len(folders) == 1:
        raise FolderError(
            f'{root} holds one class only, {folders[0].name!r}: a classifier needs two or more'
        )
    skipped = Counter(_suffix(entry) for entry in os.scandir(root) if not entry.is_dir())
    samples = []
    empty = []
    for label, folder in enumerate(folders):
        images, more = list_images(folder)
        skipped += more
        samples += [(f'{folder.name}/{image}', label) for image in images]
        if not images:
            held = ', '.join(f'{n} {suffix}' for suffix, n in more.items()) or 'nothing'
            empty.append(f'{folder.name!r} ({held} in it)')
    if empty:
        raise FolderError(
            f'no image in {len(empty)} of the class folders of {root}: {_some(empty)}; fill or '
            f'remove them (images end in {", ".join(IMAGE_SUFFIXES)})'
        )
    return FolderScan(root, tuple(f.name for f in folders), tuple(samples), skipped)


def list_images(folder: Path) -> tuple[list[str], Counter[str]]:
    """List the images anywhere below a folder, sorted, and count the other files by suffix.

    Args:
        folder: Where to look.

    Returns:
        Paths relative to ``folder``, with ``/``, and the count of what is no image.
    """
    images: list[str] = []
    skipped: Counter[str] = Counter()
    _walk(folder, '', (os.path.realpath(folder),), images, skipped)
    return sorted(images), skipped


def compare_classes(expected: Sequence[str], found: Sequence[str], where: str) -> None:
    """Refuse a part whose class folders differ from those of the training part.

    Args:
        expected: The classes of the training part.
        found: The classes of the other part.
        where: The name of the other part, for the message.

    Raises:
        FolderError: If they differ, with the difference.
    """
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missing or extra:
        told = [f'lacks {_some(list(map(repr, missing)))}'] if missing else []
        told += [f'has, unknown in training, {_some(list(map(repr, extra)))}'] if extra else []
        raise FolderError(
            f'the classes of {where} differ from those of the training part: it '
            + ' and '.join(told)
        )


def _walk(
    folder: Path, prefix: str, above: tuple[str, ...], images: list[str], skipped: Counter[str]
) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            # a link to a folder that we are inside of would never end
            if not _is_hidden(entry.name) and real not in above:
                _walk(Path(entry.path), f'{prefix}{entry.name}/', (*above, real), images, skipped)
        elif _suffix(entry) in IMAGE_SUFFIXES:
            images.append(prefix + entry.name)
        else:
            skipped[_suffix(entry)] += 1


def _suffix(entry: os.DirEntry) -> str:
    if _is_hidden(entry.name):
        return '(hidden)'
    if not entry.is_file():
        return '(broken link)'
    return Path(entry.name).suffix.lower() or '(no suffix)'


def _folders(root: Path) -> list[Path]:
    inside = [Path(e.path) for e in os.scandir(root) if e.is_dir() and not _is_hidden(e.name)]
    return sorted(inside, key=lambda folder: folder.name)


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def _names(folders: list[Path]) -> str:
    return _some([folder.name for folder in folders])


def _some(items: list[str], most: int = 10) -> str:
    more = f' and {len(items) - most} more' if len(items) > most else ''
    return ', '.join(items[:most]) + more
