"""A searchable collection of photos on disk: their files and their descriptors."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..evaluation.functional.similarities import similarities
from ..fileio.atomic_backend import abandoned_files, whole_file
from ..fileio.printable_text import printable
from ..fileio.text_documents import read_json
from .faiss_file import read_faiss_file
from .gallery_entries import Photo, Source
from .gallery_files import FILE_NAME, faiss, file_of, no_link, read_descriptors, read_graph

FORMAT = 2  # version 1 kept a config that was executed, and descriptors in a file of faiss
KINDS = ('exact', 'approximate')
QUERIES_AT_ONCE = 256
LINKS = 32  # links of each photo in the graph of an approximate index: faiss's usual choice


class Gallery:
    """Photos and their descriptors, in a folder; photos can be added later.

    The folder holds ``gallery.json`` (photos, model and its settings), ``descriptors-N.npy`` and,
    for an approximate gallery, the graph of faiss in ``graph-N.faiss``. ``gallery.json`` is
    written last and in one step, so a killed run leaves the former state. Nothing in the folder is
    executed.

    Args:
        folder: Its folder, which may not exist yet.
        source: The model.
        kind: ``'exact'`` compares with every photo; ``'approximate'`` searches a graph (HNSW,
            Malkov and Yashunin, 2018): a little less exact, much faster from about a hundred
            thousand photos on.
        settings: How to build the model, see :func:`.model_settings.settings_of`.

    Raises:
        ValueError: If the kind is unknown, or the name of the folder is not UTF-8.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        source: Source,
        kind: str = 'exact',
        settings: dict[str, Any] | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f'the kind of a gallery is one of {KINDS}, got {kind!r}')
        if printable(str(folder)) != str(folder):  # faiss could not open a file in such a folder
            raise ValueError(
                f'the name of the folder {printable(str(folder))} is not UTF-8, or holds '
                'invisible characters: choose another'
            )
        self.folder = Path(folder)
        self.source = source
        self.kind = kind
        self.settings = settings
        self.photos: list[Photo] = []
        self.descriptors: np.ndarray | None = None
        self.is_converted = False  # read from the former format, still to be saved
        self._graph = None  # graph of faiss; built from the descriptors if it is missing
        self._revision = 0

    @staticmethod
    def exists(folder: str | os.PathLike) -> bool:
        """Return whether a folder holds a gallery.

        Args:
            folder: The folder.
        """
        return (Path(folder) / 'gallery.json').is_file()

    @classmethod
    def load(cls, folder: str | os.PathLike, settings: dict[str, Any] | None = None) -> Gallery:
        """Read a gallery.

        Args:
            folder: The folder.
            settings: How to build the model of a gallery of the former format, which kept a
                config to be executed instead; :meth:`save` then writes it in the present one.

        Raises:
            ValueError: If it is not a gallery, of another version, or damaged.
        """
        folder = Path(folder)
        if not cls.exists(folder):
            raise ValueError(f'{folder} holds no gallery (gallery.json): make one with `index`')
        try:
            about = read_json(no_link(folder / 'gallery.json'))
            if about['format'] == FORMAT:
                return cls._restored(folder, about)
            if about['format'] == 1 and settings is not None:
                return cls._converted(folder, about, settings)
            trouble = _of_another_version(folder, about)
        except (ValueError, OSError) as error:
            raise ValueError(f'{folder} is damaged: {error}') from None
        except ImportError:
            raise
        except Exception as error:  # any error that a foreign JSON file can cause
            raise ValueError(f'{folder}/gallery.json is damaged: {error!r}') from None
        raise ValueError(trouble)

    @classmethod
    def _restored(cls, folder: Path, about: dict[str, Any]) -> Gallery:
        gallery = cls(folder, Source(**about['source']), about['kind'], about['settings'])
        gallery.photos = [Photo.read(row) for row in about['photos']]
        gallery._revision = int(about['revision'])
        if gallery.photos:
            gallery.descriptors = read_descriptors(folder, about['descriptors'])
            _require_as_many(gallery)
        if about['graph'] is not None and file_of(folder, about['graph']).is_file():
            gallery._graph = read_graph(file_of(folder, about['graph']), gallery.descriptors)
        return gallery

    @classmethod
    def _converted(cls, folder: Path, about: dict[str, Any], settings: dict[str, Any]) -> Gallery:
        gallery = cls(folder, Source(**about['source']), about['kind'], settings)
        gallery.is_converted = True
        gallery.photos = [Photo.read(row) for row in about['photos']]
        if gallery.photos:
            gallery.descriptors = read_faiss_file(file_of(folder, about['index'])).vectors
            _require_as_many(gallery)
        return gallery

    def add(self, photos: Sequence[Photo], descriptors: np.ndarray) -> None:
        """Add photos; :meth:`save` writes them.

        Args:
            photos: The N photos.
            descriptors: (N, D), of unit length.

        Raises:
            ValueError: If the numbers or the dimensions do not fit.
        """
        if descriptors.ndim != 2 or len(descriptors) != len(photos):
            raise ValueError(f'{len(photos)} photos with descriptors {descriptors.shape}')
        descriptors = np.ascontiguousarray(descriptors, np.float32)
        if self.descriptors is None:
            self.descriptors = descriptors
        elif descriptors.shape[1] != self.descriptors.shape[1]:
            raise ValueError(
                f'descriptors of {descriptors.shape[1]} numbers in a gallery of '
                f'{self.descriptors.shape[1]}'
            )
        else:
            self.descriptors = np.concatenate([self.descriptors, descriptors])
        if self._graph is not None:
            self._graph.add(descriptors)
        self.photos = [*self.photos, *photos]

    def remove(self, paths: Collection[str]) -> int:
        """Remove photos; :meth:`save` writes what is left.

        Args:
            paths: Their paths; paths that are not in the gallery are ignored.

        Returns:
            How many were removed.
        """
        gone = set(paths)
        kept = [i for i, photo in enumerate(self.photos) if photo.path not in gone]
        removed = len(self.photos) - len(kept)
        if removed:
            self.photos = [self.photos[i] for i in kept]
            self.descriptors = self.descriptors[kept] if kept else None
            self._graph = None  # points cannot be removed from a graph of faiss
        return removed

    def search(self, descriptors: np.ndarray, top_k: int) -> list[list[tuple[float, Photo]]]:
        """Find the most similar photos.

        Args:
            descriptors: (N, D), of unit length.
            top_k: How many photos for each descriptor; fewer if the gallery is smaller.

        Returns:
            For each descriptor, cosine similarity and photo, the most similar first.
        """
        found = self.search_rows(descriptors, top_k)
        return [[(similarity, self.photos[i]) for similarity, i in row] for row in found]

    def search_rows(self, descriptors: np.ndarray, top_k: int) -> list[list[tuple[float, int]]]:
        """Find the most similar photos, as their indices in ``photos`` and ``descriptors``.

        Args:
            descriptors: (N, D), of unit length.
            top_k: How many photos for each descriptor; fewer if the gallery is smaller.
        """
        if self.descriptors is None:
            return [[] for _ in descriptors]
        top_k = min(top_k, len(self.photos))
        queries = np.ascontiguousarray(descriptors, np.float32)
        if self.kind == 'approximate':
            graph = self._with_graph()
            graph.hnsw.efSearch = max(64, 2 * top_k)  # candidates kept during the search
            similarities, found = graph.search(queries, top_k)  # (N, top_k) each
        else:
            similarities, found = _search_all(queries, self.descriptors, top_k)
        return [
            [(float(s), int(i)) for s, i in zip(*row, strict=True) if i >= 0]
            for row in zip(similarities, found, strict=True)
        ]

    def save(self) -> None:
        """Write the gallery and make its folder; the former state stays valid until the last step.

        No link is followed, because a foreign gallery could contain a link to any file of the
        user.
        """
        self.is_converted = False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._revision += 1
        graph = None
        if self.kind == 'approximate' and self.photos:
            graph = f'graph-{self._revision}.faiss'
            library = faiss()
            with whole_file(self.folder / graph) as file:
                library.write_index(self._with_graph(), library.PyCallbackIOWriter(file.write))
        about = {
            **{'format': FORMAT, 'kind': self.kind, 'source': asdict(self.source)},
            **{'settings': self.settings, 'revision': self._revision, 'graph': graph},
            'descriptors': f'descriptors-{self._revision}.npy',
            'photos': [[p.path, p.size, p.mtime_ns] for p in self.photos],
        }
        if self.photos:
            with whole_file(self.folder / about['descriptors'], self.descriptors.nbytes) as file:
                np.save(file, self.descriptors, allow_pickle=False)
        with whole_file(self.folder / 'gallery.json') as file:
            file.write(json.dumps(about).encode())
        for old in self.folder.iterdir():
            if FILE_NAME.fullmatch(old.name) and old.name not in (about['descriptors'], graph):
                old.unlink()
        for name in ('gallery.json', 'descriptors-', 'graph-'):
            for partial in abandoned_files(self.folder, name):
                partial.unlink()

    def _with_graph(self):
        if self._graph is None:
            library = faiss()
            dims = self.descriptors.shape[1]
            self._graph = library.IndexHNSWFlat(dims, LINKS, library.METRIC_INNER_PRODUCT)
            self._graph.add(self.descriptors)
        return self._graph

    def __repr__(self) -> str:
        """Return the type of gallery and the number of photos."""
        return f'Gallery({str(self.folder)!r}, {self.kind}, {len(self.photos)} photos)'


def _of_another_version(folder: Path, about: dict[str, Any]) -> str:
    if about['format'] == 1:
        return (
            f'{folder} was written by an older version, which ran the config in it. Name the '
            'config it was made with (--config FILE, --work-dir): `index` converts it. Or make '
            'it anew: `index` with another folder, the photos, --config and --checkpoint '
            f'{about["source"]["checkpoint"]}'
        )
    return (
        f'{folder} was written in format {about["format"]!r:.40}, this version reads {FORMAT}: '
        'update vit_plugins'
    )


def _search_all(
    queries: np.ndarray, descriptors: np.ndarray, top_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return similarities and numbers (N, top_k) of the most similar descriptors."""
    everything = torch.from_numpy(descriptors)  # (M, D)
    best = [
        similarities(block, everything).topk(top_k, dim=1)
        for block in torch.from_numpy(queries).split(QUERIES_AT_ONCE)
    ]
    values, found = (torch.cat(parts).numpy() for parts in zip(*best, strict=True))
    return values, found


def _require_as_many(gallery: Gallery) -> None:
    if len(gallery.descriptors) != len(gallery.photos):
        raise ValueError(
            f'{len(gallery.descriptors)} descriptors of {len(gallery.photos)} photos; index them '
            'anew into another folder'
        )
