"""Read a file of faiss without faiss, which trusts everything in its files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..fileio.documented_errors import documented_errors

FLAT = (b'IxFI', b'IxF2')  # only vectors: inner product, Euclidean
GRAPH = b'IHNf'  # vectors with an HNSW graph
HEAD = struct.Struct('<iqqqBi')  # dimensions, vectors, unused, unused, is trained, metric
MOST_METRIC = 1  # inner product and Euclidean; the other metrics have an argument
MOST_SLOTS = 1 << 16  # neighbours of one point
MOST_WIDTH = 1 << 16  # points kept while the graph is built or searched


class FaissFileError(ValueError):
    """A file of faiss is damaged, crafted, or of a type that no gallery uses."""


@dataclass(frozen=True)
class FaissFile:
    """The contents of a file.

    Attributes:
        vectors: (N, D), float32.
        has_graph: Whether the file has a graph of them, which was checked.
    """

    vectors: np.ndarray
    has_graph: bool


def read_faiss_file(path: str | Path) -> FaissFile:
    """Read a flat index or one with an HNSW graph, and check every number that faiss would use.

    A file of 4 kB can make ``faiss.read_index`` take 5 GB, and neighbours beyond the last point
    make it read foreign memory.

    Args:
        path: The file.

    Raises:
        FaissFileError: If anything in it is not as faiss writes it.
        OSError: If it cannot be read.
    """

    def told(text: str) -> FaissFileError:
        return FaissFileError(f'{path} is no whole index of faiss: {text}')

    content = memoryview(np.fromfile(path, np.uint8))
    with documented_errors(otherwise=told):
        reader = _Reader(content)
        kind = bytes(reader.take(4))
        found = FaissFile(reader.graph() if kind == GRAPH else reader.flat(kind), kind == GRAPH)
        if reader.left():
            raise FaissFileError(f'{reader.left()} bytes follow its end')
        return found


class _Reader:
    """Reader of the fields of a file, in their order."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.place = 0

    def left(self) -> int:
        return len(self.content) - self.place

    def take(self, size: int) -> memoryview:
        if size > self.left():
            raise FaissFileError(f'{size:,} bytes are announced and {self.left():,} follow')
        self.place += size
        return self.content[self.place - size : self.place]

    def numbers(self, kind: str) -> np.ndarray:
        (count,) = struct.unpack('<Q', self.take(8))
        dtype = np.dtype(kind)
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def head(self) -> tuple[int, int]:
        dims, count, _, _, trained, metric = HEAD.unpack(self.take(HEAD.size))
        if dims < 1 or count < 0 or trained != 1 or not 0 <= metric <= MOST_METRIC:
            raise FaissFileError('its head says what none does')
        return count, dims

    def flat(self, kind: bytes) -> np.ndarray:
        if kind not in FLAT:
            raise FaissFileError(f'it is of kind {kind!r}')
        count, dims = self.head()
        values = self.numbers('<f4')
        if len(values) != count * dims:
            raise FaissFileError(f'{len(values)} numbers do not make {count} vectors of {dims}')
        return values.reshape(count, dims)

    def graph(self) -> np.ndarray:
        count, dims = self.head()
        chances = self.numbers('<f8')
        slots, levels, offsets, neighbours = map(self.numbers, ('<i4', '<i4', '<u8', '<i4'))
        entry, top, *widths, beam = struct.unpack('<5i', self.take(20))
        if not 1 <= min(widths) <= max(widths) <= max(MOST_WIDTH, 2 * count) or beam != 1:
            raise FaissFileError('it is to be searched by more or fewer points than any is')
        _check_levels(count, slots, levels, offsets, len(neighbours))
        _check_chances(slots, chances)
        _check_neighbours(slots, levels, offsets.astype(np.int64), neighbours)
        if count and not (0 <= entry < count and levels[entry] == top + 1 == levels.max()):
            raise FaissFileError('its entry is no point of the top')
        vectors = self.flat(bytes(self.take(4)))
        if vectors.shape != (count, dims):
            raise FaissFileError('it has more or fewer vectors than points')
        return vectors


def _check_levels(
    count: int, slots: np.ndarray, levels: np.ndarray, offsets: np.ndarray, size: int
) -> None:
    """Check how many slots (L + 1) for neighbours each point (N) has up to its level."""
    steps = np.diff(slots.astype(np.int64), prepend=0)
    if len(slots) < 2 or slots[0] != 0 or steps.min() < 0 or slots[-1] > MOST_SLOTS:
        raise FaissFileError('its levels are out of order')
    if (len(levels), len(offsets)) != (count, count + 1):
        raise FaissFileError(f'{len(levels)} levels of {count} points')
    if count and not (levels.min() >= 1 and levels.max() < len(slots)):
        raise FaissFileError('a point has a level that there is not')
    expected = np.concatenate([[0], np.cumsum(slots[levels], dtype=np.int64)])
    if size != expected[-1] or not np.array_equal(offsets, expected.astype(np.uint64)):
        raise FaissFileError('its neighbours are out of order')


def _check_chances(slots: np.ndarray, chances: np.ndarray) -> None:
    """Check the probabilities (L) with which the levels of new points are sampled.

    Malkov and Yashunin (2018), section 4: with M links on each level, and the level the whole
    part of -ln(u) / ln(M), level l has the probability M^-l (1 - 1/M).
    """
    links = float(slots[-1] - slots[-2])
    if links < 2 or len(chances) != len(slots) - 1:
        raise FaissFileError(f'it has chances of {len(chances)} levels, and slots of another')
    expected = links ** -np.arange(len(chances)) * (1 - 1 / links)
    if not np.allclose(chances, expected, rtol=1e-4, atol=0):
        raise FaissFileError('the chances of its levels are not those of its links')


def _check_neighbours(
    slots: np.ndarray, levels: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray
) -> None:
    """Check that neighbours are points, and on each level points of that level; -1 is none."""
    if len(neighbours) and not (neighbours.min() >= -1 and neighbours.max() < len(levels)):
        raise FaissFileError('a neighbour is no point')
    for level in range(1, len(slots) - 1):
        there = offsets[:-1][levels > level]  # (n,)
        places = there[:, None] + np.arange(slots[level], slots[level + 1])  # (n, M)
        found = neighbours[places]
        if (levels[found[found >= 0]] <= level).any():
            raise FaissFileError(f'a neighbour on level {level} is not on that level')
