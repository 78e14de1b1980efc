"""What lies in a folder of class folders. Names only: no image is opened here."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.dist import is_main_process

from ..fileio.printable_text import log_line, printable
from .unfit_data import UnfitDataError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
# pictures, too, which neither training nor prediction reads
OTHER_PICTURES = (
    *('.heic', '.heif', '.avif', '.gif', '.jfif', '.jpe', '.jp2', '.j2k', '.jxl', '.ico', '.tga'),
    *('.apng', '.pbm', '.pnm', '.psd', '.svg', '.dng', '.cr2', '.cr3', '.nef', '.arw', '.orf'),
    *('.rw2', '.raf', '.raw', '.exr', '.hdr'),
)
# made by file servers and operating systems, in lower case; those with a dot are hidden anyway
SYSTEM_FOLDERS = (
    *('__macosx', '@eadir', '@tmp', '@synoresource', '@recycle', '@recently-snapshot'),
    *('#recycle', '#snapshot', '$recycle.bin', 'system volume information'),
    *('lost+found', 'network trash folder', 'temporary items', 'found.000'),
)
SYSTEM_FILES = ('thumbs.db', 'ehthumbs.db', 'desktop.ini')
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
        skipped: How many files were left out, by suffix, and how many system and hidden folders,
            by name and ``/``.
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
    """Return which folder holds the images for training, validation and test.

    ``root`` either holds the class folders itself, or ``train`` with class folders inside and
    perhaps ``val`` and ``test`` beside it (upper case and longer spellings are understood). A
    ``val`` or ``test`` without class folders has no labels: see :func:`find_unlabelled`.

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
    parts = _named_parts(folders)
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
    return {part: f for part, f in parts.items() if f is not None and _folders(f)}


def find_unlabelled(root: Path) -> dict[str, Path]:
    """Return which of ``val`` and ``test`` beside a ``train`` hold no class folders.

    Args:
        root: The folder that a person named.
    """
    parts = _named_parts(_folders(root))
    if parts['train'] is None or not _folders(parts['train']):
        return {}
    return {part: f for part, f in parts.items() if f is not None and not _folders(f)}


def _named_parts(folders: Sequence[Path]) -> dict[str, Path | None]:
    by_name = {folder.name.lower(): folder for folder in folders}
    return {
        part: next((by_name[n] for n in names if n in by_name), None)
        for part, names in PART_NAMES.items()
    }


def scan_class_folders(root: Path, *, complete: bool = True) -> FolderScan:
    """List the images below the class folders of a folder.

    A class folder may hold further folders. Links are followed, once. Hidden folders and those
    that file servers and operating systems make (``SYSTEM_FOLDERS``) are skipped and counted.

    Args:
        root: The folder that holds the class folders.
        complete: Whether all classes must be there, as for training. If False, one class folder
            is enough, and a folder without images is no class.

    Raises:
        FolderError: If there are fewer than two class folders, one holds no image, or its name
            is not UTF-8.
    """
    folders = _folders(root)
    if not folders:
        raise FolderError(
            f'{root} holds no class folders: put the images of each class into a folder of its '
            f'own, as in {root / "cat" / "1.jpg"} and {root / "dog" / "1.jpg"}'
        )
    if len(folders) == 1 and complete:
        raise FolderError(
            f'{root} holds one class only, {folders[0].name!r}: a classifier needs two or more'
        )
    _require_utf8(folders)
    skipped = Counter(kind for entry in os.scandir(root) if (kind := _kind_beside(entry)))
    samples = []
    classes = []
    empty = []
    for folder in folders:
        images, more = list_images(folder)
        skipped += more
        if images:
            samples += [(f'{folder.name}/{image}', len(classes)) for image in images]
            classes.append(folder.name)
        else:
            empty.append(f'{folder.name!r} ({_listed(more) or "nothing"} in it)')
    if empty and (complete or not classes):
        raise FolderError(
            f'no image in {len(empty)} of the class folders of {root}: {_some(empty)}; fill or '
            f'remove them (images end in {", ".join(IMAGE_SUFFIXES)})'
        )
    return FolderScan(root, tuple(classes), tuple(samples), skipped)


def list_images(folder: Path) -> tuple[list[str], Counter[str]]:
    """Return the images anywhere below a folder, sorted, and count what is left out.

    Args:
        folder: Where to look.

    Returns:
        Paths relative to ``folder``, with ``/``, and the count of other files by suffix, of
        system and hidden folders by name and ``/``.
    """
    images: list[str] = []
    skipped: Counter[str] = Counter()
    _walk(folder, '', (os.path.realpath(folder),), images, skipped)
    return sorted(images), skipped


def describe_skipped(folder: str | os.PathLike, skipped: Mapping[str, int]) -> str:
    """Return a sentence about what was left out of a folder; empty if nothing was.

    Args:
        folder: The folder.
        skipped: The counts of :func:`list_images`.
    """
    if not skipped:
        return ''
    pictures = sorted(kind for kind in skipped if kind in OTHER_PICTURES)
    advice = (
        f'; {", ".join(pictures)} are not read: save these pictures as .jpg or .png'
        if pictures
        else ''
    )
    return f'skipped in {printable(os.fspath(folder))}: {_listed(skipped)}{advice}'


def log_skipped(scan: FolderScan) -> None:
    """Log what was left out of a folder: once in a process, however many datasets read it.

    Args:
        scan: What lies in the folder.
    """
    if scan.skipped and is_main_process():
        _log_once(describe_skipped(scan.root, scan.skipped))


@functools.cache
def _log_once(line: str) -> None:
    log_line(line)


def compare_classes(
    expected: Sequence[str], found: Sequence[str], where: str, *, complete: bool = True
) -> None:
    """Refuse a part whose class folders differ from those of the training part.

    Args:
        expected: The classes of the training part.
        found: The classes of the other part.
        where: The name of the other part, for the message.
        complete: Whether it must have all classes. To measure with, some are enough.

    Raises:
        FolderError: If they differ, with the difference.
    """
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if (missing and complete) or extra:
        told = [f'lacks {_some(list(map(repr, missing)))}'] if missing else []
        told += [f'has, unknown in training, {_some(list(map(repr, extra)))}'] if extra else []
        raise FolderError(
            f'the classes of {where} differ from those of the training part: it '
            + ' and '.join(told)
        )


def _walk(
    folder: Path, prefix: str, above: tuple[str, ...], images: list[str], skipped: Counter[str]
) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        skipped[f'folder that cannot be opened ({error.strerror})'] += 1
        return
    for entry in entries:
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if is_skipped_folder(entry.name):
                skipped[f'{entry.name}/'] += 1
            elif real not in above:  # a link to a folder that we are inside of would never end
                _walk(Path(entry.path), f'{prefix}{entry.name}/', (*above, real), images, skipped)
        elif _suffix(entry) in IMAGE_SUFFIXES:
            images.append(prefix + entry.name)
        else:
            skipped[_suffix(entry)] += 1


def is_skipped_folder(name: str) -> bool:
    """Return whether a folder of this name is hidden, or made by a file server or system.

    Args:
        name: The name, without its path.
    """
    return name.startswith('.') or name.lower() in SYSTEM_FOLDERS


def _suffix(entry: os.DirEntry) -> str:
    if entry.name.startswith('.'):
        return '(hidden)'
    if not entry.is_file():
        return '(broken link)'
    if entry.name.lower() in SYSTEM_FILES:
        return entry.name
    return Path(entry.name).suffix.lower() or '(no suffix)'


def _kind_beside(entry: os.DirEntry) -> str:
    """Return what to call an entry beside the class folders; empty for a class folder."""
    if entry.is_dir():
        return f'{entry.name}/' if is_skipped_folder(entry.name) else ''
    suffix = _suffix(entry)
    return f'{suffix} beside the class folders' if suffix in IMAGE_SUFFIXES else suffix


def _listed(skipped: Mapping[str, int]) -> str:
    kinds = sorted(skipped, key=lambda kind: (-skipped[kind], kind))
    return ', '.join(f'{skipped[kind]} {printable(kind)}' for kind in kinds)


def _require_utf8(folders: Sequence[Path]) -> None:
    """Refuse class names that no config and no log could hold."""
    for folder in folders:
        if printable(folder.name) != folder.name:
            raise FolderError(
                f'the name of the class folder {printable(str(folder))} is not UTF-8, or holds '
                'invisible characters: rename it'
            )


def _folders(root: Path) -> list[Path]:
    try:
        inside = [Path(e.path) for e in os.scandir(root) if e.is_dir()]
    except OSError as error:
        raise FolderError(f'{root} cannot be opened: {error.strerror}') from None
    inside = [folder for folder in inside if not is_skipped_folder(folder.name)]
    return sorted(inside, key=lambda folder: folder.name)


def _names(folders: list[Path]) -> str:
    return _some([folder.name for folder in folders])


def _some(items: list[str], most: int = 10) -> str:
    more = f' and {len(items) - most} more' if len(items) > most else ''
    return ', '.join(items[:most]) + more
