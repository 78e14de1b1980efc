"""List the contents of a folder of class folders by name; no image is opened here."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process

from ..fileio.printable_text import listed, log_line, printable
from ._folder_tree import IMAGE_SUFFIXES, list_images, read_tree
from .splitting import grouped_folds, grouped_split, stratified_split
from .unfit_data import UnfitDataError

# other picture files, which neither training nor prediction reads
OTHER_PICTURES = (
    *('.heic', '.heif', '.avif', '.gif', '.jfif', '.jpe', '.jp2', '.j2k', '.jxl', '.ico', '.tga'),
    *('.apng', '.pbm', '.pnm', '.psd', '.svg', '.dng', '.cr2', '.cr3', '.nef', '.arw', '.orf'),
    *('.rw2', '.raf', '.raw', '.exr', '.hdr'),
)


__all__ = [
    'IMAGE_SUFFIXES',
    'FolderError',
    'FolderScan',
    'compare_classes',
    'describe_skipped',
    'list_images',
    'log_once',
    'log_skipped',
    'scan_class_folders',
]


class FolderError(UnfitDataError):
    """A folder of images cannot be used; the message says what is wrong and where."""


@dataclass(frozen=True)
class FolderScan:
    """The images of a folder of class folders.

    Attributes:
        root: The folder.
        classes: The names of the class folders, sorted.
        samples: Path below ``root`` (with ``/``) and class number of every image.
        skipped: How many files were left out, by suffix, and how many system and hidden folders,
            by name and ``/``.
        splits: The splits that were asked for, see :meth:`part`.
        left_out: The images that :meth:`without` left out.
        groups: The group of each image; empty if each is split on its own.
        source: The tables or expressions that define classes and groups, as arguments of
            ``ImageFolder``.
    """

    root: Path
    classes: tuple[str, ...]
    samples: tuple[tuple[str, int], ...]
    skipped: Counter[str]
    splits: dict[tuple, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, repr=False, compare=False
    )
    left_out: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)

    def grouped(self, groups: Sequence[str]) -> FolderScan:
        """Keep photos of one group on one side of a split.

        Args:
            groups: The group of each of ``samples``; none splits each photo on its own.
        """
        return replace(self, groups=tuple(groups), splits={}) if groups else self

    def without(self, names: Collection[str]) -> FolderScan:
        """Leave out images, such as those that cannot be read.

        Args:
            names: Paths below ``root``.

        Raises:
            FolderError: If no image is left of a class.
        """
        if not names:
            return self
        gone = frozenset(names)
        kept = [i for i, (path, _) in enumerate(self.samples) if path not in gone]
        samples = tuple(self.samples[i] for i in kept)
        groups = tuple(self.groups[i] for i in kept) if self.groups else ()
        left = {label for _, label in samples}
        empty = [name for label, name in enumerate(self.classes) if label not in left]
        if empty:
            raise FolderError(
                f'no image that can be read is left of {listed(list(map(repr, empty)))} in '
                f'{self.root}: add images, or remove the folders'
            )
        found = tuple(sorted({*self.left_out, *gone}))
        return replace(self, samples=samples, groups=groups, splits={}, left_out=found)

    def part(
        self, name: str, val_fraction: float, seed: int, fold: Sequence[int] | None = None
    ) -> list[int]:
        """Return the images of a part. The split is computed once for all datasets.

        Args:
            name: 'all', 'train' or 'val'.
            val_fraction: The fraction of each class for validation.
            seed: The seed of the split.
            fold: The number of a fold and how many there are: this fold is for validation, in
                place of the fraction.

        Returns:
            Indices of ``samples``, ascending.

        Raises:
            ValueError: If ``val_fraction`` is not within [0, 1), or 0 for 'val', or there are
                fewer groups than folds.
        """
        share = val_fraction if fold is None else tuple(fold)
        if name == 'val' and share == 0:
            raise ValueError(
                'val_fraction=0: no image is held out, so there is none to validate or test on; '
                'name a folder with images to test on'
            )
        if name == 'all' or share == 0:
            return list(range(len(self.samples)))
        if (share, seed) not in self.splits:
            train, val = (np.array(part, np.int32) for part in self._split(share, seed))
            self.splits[share, seed] = train, val
        return self.splits[share, seed][name == 'val'].tolist()

    def _split(
        self, share: float | tuple[int, int], seed: int
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return the images to train on, and those of a fraction or of a fold."""
        paths, labels = zip(*self.samples, strict=True)
        if isinstance(share, tuple):
            number, how_many = share
            held = np.array(grouped_folds(labels, self.groups or paths, how_many, seed)) == number
            return np.flatnonzero(~held), np.flatnonzero(held)
        if self.groups:
            return grouped_split(paths, labels, self.groups, share, seed)
        return stratified_split(paths, labels, share, seed)

    def counts(self) -> list[int]:
        """Count the images of each class."""
        counter = Counter(label for _, label in self.samples)
        return [counter[i] for i in range(len(self.classes))]


def scan_class_folders(root: Path, *, complete: bool = True) -> FolderScan:
    """List the images below the class folders of a folder.

    A class folder may hold further folders. Links are followed, once. Hidden folders and those
    that file servers, operating systems and this package make are skipped and counted. A folder
    that has not changed since it was listed is not listed again, see ``_folder_tree.py``.

    Args:
        root: The folder that holds the class folders.
        complete: Whether all classes must exist, as for training. If False, one class folder is
            enough, and a folder without images is no class.

    Raises:
        FolderError: If there are fewer than two class folders, one holds no image, or its name
            is not UTF-8.
    """
    try:
        tree = read_tree(root)
    except OSError as error:
        raise FolderError(f'{root} cannot be opened: {error.strerror}') from None
    if not tree.names:
        raise FolderError(
            f'{root} holds no class folders: put the images of each class into a folder of its '
            f'own, as in {root / "cat" / "1.jpg"} and {root / "dog" / "1.jpg"}'
        )
    if len(tree.names) == 1 and complete:
        raise FolderError(
            f'{root} holds one class only, {tree.names[0]!r}: a classifier needs two or more'
        )
    _require_utf8([root / name for name in tree.names])
    samples = []
    classes = []
    empty = []
    for number, name in enumerate(tree.names):
        if images := tree.images_of(number):
            samples += [(f'{name}/{image}', len(classes)) for image in images]
            classes.append(name)
        else:
            empty.append(f'{name!r} ({_listed(tree.skipped[number]) or "nothing"} in it)')
    if empty and (complete or not classes):
        raise FolderError(
            f'no image in {len(empty)} of the class folders of {root}: {listed(empty)}; fill or '
            f'remove them (images end in {", ".join(IMAGE_SUFFIXES)})'
        )
    skipped = sum(tree.skipped, tree.beside)
    return FolderScan(root, tuple(classes), tuple(samples), skipped, tree.splits)


def describe_skipped(folder: str | os.PathLike, skipped: Mapping[str, int]) -> str:
    """Return a sentence about the files that were skipped in a folder; empty if none were.

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
    """Log which files of a folder were skipped, once in a process for all datasets.

    Args:
        scan: The contents of the folder.
    """
    if scan.skipped and is_main_process():
        log_once(describe_skipped(scan.root, scan.skipped))


@functools.cache
def log_once(line: str) -> None:
    """Log a line, once in a process.

    Args:
        line: The line.
    """
    log_line(line)


def compare_classes(
    expected: Sequence[str], found: Sequence[str], where: str, *, complete: bool = True
) -> None:
    """Check that the class folders of a part are those of the training part.

    Args:
        expected: The classes of the training part.
        found: The classes of the other part.
        where: The name of the other part, for the message.
        complete: Whether it must have all classes; for a test, some classes are enough.

    Raises:
        FolderError: If they differ, with the difference.
    """
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if (missing and complete) or extra:
        told = [f'lacks {listed(list(map(repr, missing)))}'] if missing else []
        told += [f'has, unknown in training, {listed(list(map(repr, extra)))}'] if extra else []
        raise FolderError(
            f'the classes of {where} differ from those of the training part: it '
            + ' and '.join(told)
        )


def _listed(skipped: Mapping[str, int]) -> str:
    kinds = sorted(skipped, key=lambda kind: (-skipped[kind], kind))
    return ', '.join(f'{skipped[kind]} {printable(kind)}' for kind in kinds)


def _require_utf8(folders: Sequence[Path]) -> None:
    """Check that class names are UTF-8, as configs and logs need."""
    for folder in folders:
        if printable(folder.name) != folder.name:
            raise FolderError(
                f'the name of the class folder {printable(str(folder))} is not UTF-8, or holds '
                'invisible characters: rename it'
            )
