"""A searchable collection of photos on disk: descriptors in a faiss index, and whose they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from ..fileio.printable_text import printable

FORMAT = 1
KINDS = ('exact', 'approximate')
LINKS = 32  # of each photo in the graph of an approximate index: faiss's usual choice


@dataclass(frozen=True)
class Photo:
    """An indexed image file as it was then.

    Attributes:
        path: Where it lies.
        size: Bytes.
        mtime_ns: Time of the last change.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike) -> Photo:
        """Look at a file.

        Args:
            path: The file.
        """
        stat = os.stat(path)
        return cls(os.path.abspath(path), stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True)
class Source:
    """The model whose descriptors a gallery holds; those of two models cannot be compared.

    Attributes:
        checkpoint: The file.
        sha256: Of that file.
    """

    checkpoint: str
    sha256: str

    @classmethod
    def of(cls, checkpoint: str | os.PathLike) -> Source:
        """Look at a checkpoint.

        Args:
            checkpoint: The file.
        """
        digest = hashlib.sha256()
        with open(checkpoint, 'rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return cls(os.path.abspath(checkpoint), digest.hexdigest())


class Gallery:
    """Photos and their descriptors, in a folder; can be added to.

    The folder holds ``gallery.json`` (photos and model, written last and in one step, so that a
    killed run leaves the state before), ``index-N.faiss`` and ``config.py``.

    Args:
        folder: Where it lies or will lie.
        source: The model.
        kind: ``'exact'`` compares with every photo; ``'approximate'`` walks a graph (HNSW,
            Malkov and Yashunin, 2018): a little less exact, much faster from about a hundred
            thousand photos on.

    Raises:
        ValueError: If the kind is unknown, or the name of the folder is not UTF-8.
    """

    def __init__(self, folder: str | os.PathLike, source: Source, kind: str = 'exact') -> None:
        if kind not in KINDS:
            raise ValueError(f'the kind of a gallery is one of {KINDS}, got {kind!r}')
        if printable(str(folder)) != str(folder):  # faiss could not open a file in it
            raise ValueError(
                f'the name of the folder {printable(str(folder))} is not UTF-8, or holds '
                'invisible characters: choose another'
            )
        self.folder = Path(folder)
        self.source = source
        self.kind = kind
        self.photos: list[Photo] = []
        self.index = None

    @staticmethod
    def exists(folder: str | os.PathLike) -> bool:
        """Tell whether a folder holds a gallery.

        Args:
            folder: The folder.
        """
        return (Path(folder) / 'gallery.json').is_file()

    @property
    def config(self) -> Path:
        """The config of the model."""
        return self.folder / 'config.py'

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Gallery:
        """Read a gallery.

        Args:
            folder: Where it lies.

        Raises:
            ValueError: If it is none, of a later version, or damaged.
        """
        folder = Path(folder)
        if not cls.exists(folder):
            raise ValueError(f'{folder} holds no gallery (gallery.json): make one with `index`')
        try:
            about = json.loads((folder / 'gallery.json').read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{folder}/gallery.json is damaged: {error}') from None
        if about['format'] != FORMAT:
            raise ValueError(
                f'{folder} was written in format {about["format"]}, this version reads {FORMAT}: '
                'update vit_plugins'
            )
        gallery = cls(folder, Source(**about['source']), about['kind'])
        gallery.photos = [Photo(*row) for row in about['photos']]
        if gallery.photos:
            if not (folder / about['index']).is_file():
                raise ValueError(f'{folder} is damaged: {about["index"]} is gone')
            gallery.index = faiss().read_index(str(folder / about['index']))
            if gallery.index.ntotal != len(gallery.photos):
                raise ValueError(
                    f'{folder} is damaged: {gallery.index.ntotal} descriptors of '
                    f'{len(gallery.photos)} photos; index them anew into another folder'
                )
        return gallery

    def add(self, photos: Sequence[Photo], descriptors: np.ndarray) -> None:
        """Add photos; :meth:`save` writes them.

        Args:
            photos: N of them.
            descriptors: (N, D), of unit length.

        Raises:
            ValueError: If the numbers or the dimensions do not fit.
        """
        if descriptors.ndim != 2 or len(descriptors) != len(photos):
            raise ValueError(f'{len(photos)} photos with descriptors {descriptors.shape}')
        if self.index is None:
            self.index = _new_index(self.kind, descriptors.shape[1])
        if descriptors.shape[1] != self.index.d:
            raise ValueError(
                f'descriptors of {descriptors.shape[1]} numbers in a gallery of {self.index.d}'
            )
        self.index.add(np.ascontiguousarray(descriptors, np.float32))
        self.photos += photos

    def search(self, descriptors: np.ndarray, top_k: int) -> list[list[tuple[float, Photo]]]:
        """Find the most similar photos.

        Args:
            descriptors: (N, D), of unit length.
            top_k: How many for each; fewer if the gallery is smaller.

        Returns:
            For each descriptor, cosine similarity and photo, the most similar first.
        """
        if self.index is None:
            return [[] for _ in descriptors]
        top_k = min(top_k, len(self.photos))
        if self.kind == 'approximate':
            self.index.hnsw.efSearch = max(64, 2 * top_k)  # candidates kept while walking
        queries = np.ascontiguousarray(descriptors, np.float32)
        similarities, found = self.index.search(queries, top_k)  # (N, top_k) each
        return [
            [(float(s), self.photos[i]) for s, i in zip(*row, strict=True) if i >= 0]
            for row in zip(similarities, found, strict=True)
        ]

    def save(self) -> None:
        """Write all; the folder is made. Until the last step the former state stays valid."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            **{'format': FORMAT, 'kind': self.kind, 'source': asdict(self.source)},
            **{'index': f'index-{len(self.photos)}.faiss'},
            'photos': [[p.path, p.size, p.mtime_ns] for p in self.photos],
        }
        if self.index is not None:
            faiss().write_index(self.index, str(self.folder / about['index']))
        part = self.folder / 'gallery.json.part'
        part.write_text(json.dumps(about), encoding='utf-8')
        os.replace(part, self.folder / 'gallery.json')
        for old in self.folder.glob('index-*.faiss'):
            if old.name != about['index']:
                old.unlink()

    def __repr__(self) -> str:
        """Tell what and how many."""
        return f'Gallery({str(self.folder)!r}, {self.kind}, {len(self.photos)} photos)'


def faiss() -> ModuleType:
    """Import faiss, which only searching needs.

    Raises:
        ImportError: With the line that installs it.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "searching photos needs faiss: pip install 'vit-plugins[retrieval]' or faiss-cpu"
        ) from error
    return faiss


def _new_index(kind: str, dims: int):
    library = faiss()
    if kind == 'exact':
        return library.IndexFlatIP(dims)
    return library.IndexHNSWFlat(dims, LINKS, library.METRIC_INNER_PRODUCT)
