"""Find the parts of a folder of photos: training, validation and test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..fileio.printable_text import listed
from ._folder_tree import is_folder, is_skipped_folder
from .folder_scan import FolderError

PART_NAMES = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}


def find_parts(root: Path) -> dict[str, Path]:
    """Return the folders with the images for training, validation and test.

    ``root`` contains either the class folders themselves, or ``train`` with class folders inside
    and possibly ``val`` and ``test`` beside it (upper case and longer names are accepted). A
    ``val`` or ``test`` without class folders has no labels, see :func:`find_unlabelled`.

    Args:
        root: The folder that the user names.

    Returns:
        ``{'train': folder}``, with 'val' and 'test' where there are such folders.

    Raises:
        FolderError: If it is no folder, or if ``train`` could be a part or a class.
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
    """Return those of ``val`` and ``test`` beside ``train`` that contain no class folders.

    Args:
        root: The folder that the user names.
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


def _folders(root: Path) -> list[Path]:
    try:
        inside = [Path(e.path) for e in os.scandir(root) if is_folder(e)]
    except OSError as error:
        raise FolderError(f'{root} cannot be opened: {error.strerror}') from None
    inside = [folder for folder in inside if not is_skipped_folder(folder)]
    return sorted(inside, key=lambda folder: folder.name)


def _names(folders: Sequence[Path]) -> str:
    return listed([folder.name for folder in folders])
