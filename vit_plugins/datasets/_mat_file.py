"""Load arrays of numbers from MAT-files of version 5, with limited memory.

Source: MAT-File Format, The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HEADER = 128
MATRIX, COMPRESSED = 14, 15
# The number types of the format, and those of NumPy.
STORED = {
    1: 'i1',
    2: 'u1',
    3: 'i2',
    4: 'u2',
    5: 'i4',
    6: 'u4',
    7: 'f4',
    9: 'f8',
    12: 'i8',
    13: 'u8',
}
CLASSES = dict(enumerate(('f8', 'f4', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8'), 6))
COMPLEX = 0x800
MOST_RATIO = 64  # largest ratio of array to file; pictures are compressed by less than 3
SPARE = 1 << 20


def read_mat_file(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Load arrays of numbers.

    Args:
        path: The file.
        names: The names of the arrays. Other arrays in the file are skipped.

    Raises:
        ValueError: If the file has another version, or if an array is compressed too much, has
            another size than its header says, or contains anything except real numbers.
        KeyError: If an array is missing.
        struct.error: If the file is cut short.
        zlib.error: If an array is damaged.
    """
    content = memoryview(path.read_bytes())
    order = {b'IM': '<', b'MI': '>'}.get(bytes(content[126:128]))
    if order is None or struct.unpack_from(f'{order}H', content, 124)[0] != 0x0100:
        raise ValueError('it has no header of version 5')
    most = MOST_RATIO * len(content) + SPARE
    found = {}
    for kind, element in _elements(content[HEADER:], order):
        if kind == COMPRESSED:
            kind, element = _unpacked(element, order, most)
        if kind == MATRIX:
            parts = list(_elements(element, order))
            name = bytes(parts[2][1]).decode('latin1')
            if name in names:
                found[name] = _array(parts, order, most)
    return {name: found[name] for name in names}


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and content of each element of a section of a file."""
    place = 0
    while place < len(content):
        kind, size = struct.unpack_from(f'{order}2I', content, place)
        start, end = place + 8, place + 8 + size
        if kind >> 16:  # a small element, whose four bytes are in its header
            kind, size = kind & 0xFFFF, kind >> 16
            start, end = place + 4, place + 4 + min(size, 4)
        if end > len(content):
            raise ValueError(f'an element of {size:,} bytes is incomplete')
        yield kind, content[start:end]
        place = end if kind == COMPRESSED else end + -end % 8


def _unpacked(packed: memoryview, order: str, most: int) -> tuple[int, memoryview]:
    content = zlib.decompressobj().decompress(packed, most + 1)
    if len(content) > most:
        raise ValueError(f'an array is compressed more than {MOST_RATIO} times')
    return next(_elements(memoryview(content), order))


def _array(parts: list[tuple[int, memoryview]], order: str, most: int) -> np.ndarray:
    (_, flags), (_, dims), _, (stored, numbers) = parts[:4]
    (flags,) = struct.unpack_from(f'{order}I', flags)
    if flags & 0xFF not in CLASSES or flags & COMPLEX or stored not in STORED:
        raise ValueError('an array contains values that are not real numbers')
    shape = np.frombuffer(dims, f'{order}i4').tolist()
    values = np.frombuffer(numbers, order + STORED[stored])
    if min(shape, default=-1) < 0 or math.prod(shape) != len(values):
        raise ValueError(f'{len(values):,} numbers do not fill the shape {tuple(shape)}')
    dtype = np.dtype(CLASSES[flags & 0xFF])
    if len(values) * dtype.itemsize > most:  # may be stored in fewer bytes than its class has
        raise ValueError(f'an array of {len(values):,} {dtype} is compressed too much')
    return values.astype(dtype, copy=False).reshape(shape, order='F')
