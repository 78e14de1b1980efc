"""Load numpy arrays from untrusted files: only data, and no more than the file can hold."""

from __future__ import annotations

import io
import math
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .documented_errors import documented_errors

# How much deflate may shrink weights or features; only zeros reach 1,032.
MOST_RATIO = 64
SPARE = 1 << 20  # a file of any size may unpack to this many bytes
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # numpy's; others unpack all at once
BLOCK = 1 << 20


class ArrayFileError(ValueError):
    """A file of arrays is damaged, asks for more memory than its size, or holds objects."""


def read_npy(path: str | Path) -> np.ndarray:
    """Load an ``.npy`` file.

    ``numpy.load`` allocates an array of the size in the header before it reads the data, so a
    file of a hundred bytes can ask for terabytes. Here the size is compared with the file first.

    Args:
        path: The file.

    Raises:
        ArrayFileError: If it is damaged, or holds objects.
        OSError: If it cannot be read.
    """
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file, _in_words(path):
        return _read_array(file, size)


def read_npz(path: str | Path, most_ratio: float = MOST_RATIO) -> dict[str, np.ndarray]:
    """Load all arrays of an ``.npz`` file.

    Args:
        path: The file.
        most_ratio: How many times larger than the file its content may be.

    Returns:
        Name and array of each member.

    Raises:
        ArrayFileError: If it is damaged, is compressed more than this, or holds objects.
        OSError: If it cannot be read.
    """
    most = Path(path).stat().st_size * most_ratio + SPARE
    with Path(path).open('rb') as file, _in_words(path), zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > most:
            raise ArrayFileError(
                f'its {len(members)} members say that they are {total:,} bytes, more than '
                f'{most_ratio:g} times the file; give a larger most_ratio if you trust it'
            )
        arrays = {}
        for member in members:
            content = _read_member(archive, member)
            name = member.filename.removesuffix('.npy')
            arrays[name] = _read_array(io.BytesIO(content), len(content))
        return arrays


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytearray:
    """Load a member in blocks, so that no more is unpacked than its stated size."""
    if member.compress_type not in PACKINGS:
        raise ArrayFileError(
            f'{member.filename} is packed by method {member.compress_type}; 0 (stored) and 8 '
            '(deflated) are read'
        )
    content = bytearray()
    with archive.open(member) as file:  # checks the checksum at the end
        while block := file.read(BLOCK):
            content += block
    return content


def _in_words(path: str | Path) -> AbstractContextManager:
    def told(text: str) -> ArrayFileError:
        text = text.removeprefix('ArrayFileError: ')
        return ArrayFileError(f'{path} is no whole file of arrays: {text}')

    return documented_errors(otherwise=told)


def _read_array(file: BinaryIO, size: int) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ArrayFileError(f'it is of version {version} of the format; 1.0 and 2.0 are read')
    if dtype.hasobject:
        raise ArrayFileError('it holds objects, which could run code')
    count = math.prod(shape)
    left = size - file.tell()
    if min(shape, default=0) < 0 or max(shape, default=0) > size or count * dtype.itemsize != left:
        raise ArrayFileError(
            f'its header says {dtype} of shape {shape}, {count * dtype.itemsize:,} bytes, but '
            f'{left:,} follow'
        )
    flat = np.frombuffer(file.read(left), dtype, count) if left else np.empty(0, dtype)
    array = flat.reshape(shape, order='F' if is_fortran else 'C')
    return array.copy(order='K')  # writable, like the arrays of numpy.load
