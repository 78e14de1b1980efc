"""List the images that a user names by files, folders, globs and addresses."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import PIL.Image

from ..datasets.folder_scan import IMAGE_SUFFIXES, describe_skipped, list_images
from .downloading import is_address
from .pixel_input import Image


def gather_images(names: Iterable[str | os.PathLike]) -> tuple[list[str], list[str]]:
    """List the images that names stand for.

    Files stand for themselves, folders for all images below them, globs (``*``, ``**``, ``?``,
    ``[...]``) for the images and folders that they match; addresses of ``http`` and ``https``
    stay, those of ``file`` become paths.

    Args:
        names: Files, folders, globs and addresses.

    Returns:
        Files and addresses, and a sentence for each folder or glob whose contents are not all
        used.
    """
    images: list[str] = []
    left_out: list[str] = []
    for name in names:
        if is_address(name):
            images.append(str(name))
            continue
        path = _local_path(name)
        if not path.exists() and glob.has_magic(str(path)):
            found, told = _matches(str(path))
        else:
            found, told = _images_of(path)
        images += found
        left_out += told
    return images, left_out


def gather_given(images: Image | Iterable[Image]) -> list[Image]:
    """List the images that a program names, with the contents of folders and globs.

    Args:
        images: Files, folders, globs, addresses, arrays and PIL images.

    Raises:
        FileNotFoundError: If a folder contains no image, or a glob matches none.
    """
    if isinstance(images, str | os.PathLike | np.ndarray | PIL.Image.Image):
        images = [images]
    found: list[Image] = []
    for image in images:
        if not isinstance(image, str | os.PathLike):
            found.append(image)
            continue
        files, _ = gather_images([image])
        if not files:
            raise FileNotFoundError(f'no image in {image}')
        found += files
    return found


def _local_path(name: str | os.PathLike) -> Path:
    text = os.fspath(name)
    if text.lower().startswith('file:'):
        return Path(url2pathname(urlsplit(text).path))
    return Path(text)


def _images_of(path: Path) -> tuple[list[str], list[str]]:
    if not path.is_dir():
        return [str(path)], []
    names, skipped = list_images(path)
    told = describe_skipped(path, skipped)
    return [str(path / name) for name in names], [told] if told else []


def _matches(pattern: str) -> tuple[list[str], list[str]]:
    images: list[str] = []
    left_out: list[str] = []
    others = 0
    for match in map(Path, sorted(glob.glob(pattern, recursive=True))):
        if '**' in pattern and match.is_dir():
            continue  # the contents of such a folder are matched, too
        if match.is_dir() or match.suffix.lower() in IMAGE_SUFFIXES:
            found, told = _images_of(match)
            images += found
            left_out += told
        else:
            others += 1
    if others:
        left_out.append(f'skipped of {pattern}: {others} file(s) that are no images')
    if not images:
        left_out.append(f'no image matches {pattern}')
    return images, left_out
