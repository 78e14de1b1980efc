"""The files in the folder of a gallery: which names they may have, and how they are read."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ..fileio.array_files import read_npy
from .faiss_file import FaissFileError, read_faiss_file

FILE_NAME = re.compile(r'(?:descriptors|graph|index)-\d+\.(?:npy|faiss)')


def faiss() -> ModuleType:
    """Import faiss, which only approximate galleries need.

    Raises:
        ImportError: With the line that installs it.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            'an approximate gallery, or one of an older version, needs faiss: '
            "pip install 'vit-plugins[retrieval]' or faiss-cpu; --kind exact does without"
        ) from error
    return faiss


def read_graph(path: Path, descriptors: np.ndarray | None) -> Any | None:
    """Return the graph of descriptors, or None if the file has another graph or is damaged.

    Args:
        path: The file of faiss.
        descriptors: The descriptors, (N, D).
    """
    try:
        found = read_faiss_file(path)
        if found.has_graph and np.array_equal(found.vectors, descriptors):
            return faiss().read_index(str(path))
        trouble = f'{path} is not the graph of the descriptors beside it'
    except FaissFileError as error:
        trouble = str(error)
    print_log(f'{trouble}: it is built again', 'current', logging.WARNING)
    return None


def file_of(folder: Path, name: str) -> Path:
    """Return the path of a file that ``gallery.json`` names.

    Args:
        folder: The folder of the gallery.
        name: The name of the file.

    Raises:
        ValueError: If the name is not one of a gallery's files, or the file is a link.
    """
    if not FILE_NAME.fullmatch(name):  # a path could lead anywhere
        raise ValueError(f'{name!r} is not the name of a file of a gallery')
    return no_link(folder / name)


def no_link(path: Path) -> Path:
    """Return a path after a check that it is not a link.

    Args:
        path: The file.

    Raises:
        ValueError: If it is a link.
    """
    if path.is_symlink():  # in a foreign gallery a link could lead anywhere
        raise ValueError(f'{path.name} is a link: put the file itself in its place')
    return path


def read_descriptors(folder: Path, name: str) -> np.ndarray:
    """Load the descriptors of a gallery, float32 (N, D).

    Args:
        folder: The folder of the gallery.
        name: The name of the file.

    Raises:
        ValueError: If the file is missing, damaged or of another type.
    """
    path = file_of(folder, name)
    if not path.is_file():
        raise ValueError(f'{name} is missing')
    values = read_npy(path)
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f'{name} holds {values.dtype} {values.shape}, not float32 (N, D)')
    return values
