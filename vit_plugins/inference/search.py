"""Search a gallery for the photos that are most similar to images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config_edits.reading import read_config_file
from .describing import Describer
from .gallery import Gallery
from .gallery_entries import Photo, Source
from .model_settings import config_of
from .photo_names import gather_given
from .pixel_input import Image


class Match(NamedTuple):
    """A photo that was found.

    Attributes:
        similarity: Cosine of the angle between the descriptors, at most 1.
        photo: The photo as it was when it was indexed.
        alike: Less similar photos that are near-duplicates of this one, if they are grouped.
    """

    similarity: float
    photo: Photo
    alike: tuple[Match, ...] = ()

    @property
    def path(self) -> str:
        """The path of the photo when it was indexed."""
        return self.photo.path


@dataclass(frozen=True)
class Answer:
    """The photos that were found for a query.

    Attributes:
        query: The image file, or the position of an image given as pixels (``image 0`` for the
            first).
        found: Similarities and photos, the most similar first.
        problem: Why the query cannot be read; None if it can.
    """

    query: str
    found: tuple[Match, ...] = ()
    problem: str | None = None


class Searcher:
    """A gallery with the model that computed it::

        from vit_plugins import Searcher
        for answer in Searcher('my_gallery')('question.jpg', top_k=5):
            print(answer.query, [(match.path, match.similarity) for match in answer.found])

    Nothing in the gallery is executed.

    Args:
        gallery: Its folder.
        config: A config to use instead of the settings in the gallery.
        checkpoint: The new path of the weights, if they were moved.
        device: Where to run. Default: a GPU if there is one.
        batch_size: How many images to run at once.
        workers: Processes that read files. Default: a few for many
            files, 0 where processes are spawned (macOS, Windows).

    Raises:
        ValueError: If the folder is no gallery, if its checkpoint is gone or has changed, or if
            its PCA was not fitted.
    """

    def __init__(
        self,
        gallery: str | os.PathLike | Gallery,
        *,
        config: str | os.PathLike | None = None,
        checkpoint: str | os.PathLike | None = None,
        device: str | None = None,
        batch_size: int = 32,
        workers: int | None = None,
    ) -> None:
        self.gallery = gallery if isinstance(gallery, Gallery) else Gallery.load(gallery)
        source = self.gallery.source
        checkpoint = Path(checkpoint or source.checkpoint)
        if not checkpoint.is_file():
            raise ValueError(
                f'{checkpoint}, the model of {self.gallery.folder}, is gone: --checkpoint FILE '
                'names where it lies now'
            )
        if Source.of(checkpoint).sha256 != source.sha256:
            raise ValueError(
                f'{checkpoint} is not the file that {self.gallery.folder} was made with: name '
                'that one with --checkpoint, or make a new gallery'
            )
        if config is None and self.gallery.settings is None:
            raise ValueError(
                f'{self.gallery.folder} holds no settings of a model: name a config with --config'
            )
        cfg = read_config_file(config) if config else config_of(self.gallery.settings)
        options = {'batch_size': batch_size, 'workers': workers}
        self.describer = Describer(cfg, checkpoint, device, **options)

    def __call__(
        self,
        images: Image | Iterable[Image],
        top_k: int = 10,
        *,
        group_above: float | None = None,
    ) -> list[Answer]:
        """Find the most similar photos; a query in the gallery does not find itself.

        Args:
            images: Files, folders, globs, addresses, RGB arrays (H, W, 3) of uint8 and PIL
                images; one, or several.
            top_k: How many photos, or how many groups, for each query.
            group_above: Similarity from which two photos found count as near-duplicates: the
                less similar one is then in ``alike`` of the other.

        Returns:
            An answer for each image, in order. For an image that cannot be read, it has the
            reason.
        """
        return list(self.stream(gather_given(images), top_k, group_above=group_above))

    def stream(
        self,
        images: Iterable[Image],
        top_k: int = 10,
        *,
        group_above: float | None = None,
        progress: bool | None = False,
        notes: dict[str, list[str]] | None = None,
    ) -> Iterator[Answer]:
        """Search for images, one after the other.

        Args:
            images: Files, arrays and PIL images.
            top_k: How many photos, or how many groups, for each query.
            group_above: Similarity from which two photos found count as near-duplicates.
            progress: Whether to show a progress bar; None shows it if the output is a terminal.
            notes: Filled with what the model does not use of an image, and the images concerned.

        Raises:
            ValueError: If ``top_k`` is below 1.
        """
        if top_k < 1:
            raise ValueError(f'top_k must be 1 or more, got {top_k}')
        for name, found in self.describer.describe(images, progress=progress, notes=notes):
            if isinstance(found, str):
                yield Answer(name, problem=found)
            else:
                yield from answer_queries(self.gallery, [name], found[None], top_k, group_above)


def answer_queries(
    gallery: Gallery,
    queries: Sequence[str],
    descriptors: np.ndarray,
    top_k: int,
    group_above: float | None = None,
) -> list[Answer]:
    """Search for each query; a query in the gallery does not find itself.

    Args:
        gallery: The gallery to search.
        queries: The N image files.
        descriptors: (N, D), of unit length.
        top_k: How many photos, or how many groups, for each query.
        group_above: A photo whose similarity to a better one reaches this value is listed below
            it, as a near-duplicate. Default: photos are not grouped.
    """
    if group_above is None:
        rows = gallery.search_rows(descriptors, top_k + 1)
        pairs = zip(queries, rows, strict=True)
        return [
            Answer(query, tuple(_matches(gallery, query, row)[:top_k])) for query, row in pairs
        ]
    return [
        Answer(query, _groups(gallery, query, vector, top_k, group_above))
        for query, vector in zip(queries, descriptors, strict=True)
    ]


def _matches(gallery: Gallery, query: str, row: Sequence[tuple[float, int]]) -> list[Match]:
    itself = os.path.abspath(query)
    found = (Match(similarity, gallery.photos[i]) for similarity, i in row)
    return [match for match in found if match.path != itself]


def _groups(
    gallery: Gallery, query: str, vector: np.ndarray, top_k: int, group_above: float
) -> tuple[Match, ...]:
    """Search deeper until there are enough groups, or no more photos."""
    depth = 4 * top_k + 1
    while True:
        (row,) = gallery.search_rows(vector[None], depth)
        groups = _grouped(gallery, query, row, group_above)
        # once a further group begins, the groups before it are complete
        if len(groups) > top_k or depth >= len(gallery.photos):
            return tuple(groups[:top_k])
        depth *= 4


def _grouped(
    gallery: Gallery, query: str, row: Sequence[tuple[float, int]], group_above: float
) -> list[Match]:
    itself = os.path.abspath(query)
    leaders: list[int] = []
    groups: list[list[Match]] = []
    for similarity, i in row:
        match = Match(similarity, gallery.photos[i])
        if match.path == itself:
            continue
        near = gallery.descriptors[leaders] @ gallery.descriptors[i]  # (G,)
        alike = np.flatnonzero(near >= group_above)
        if len(alike):
            groups[alike[0]].append(match)
        else:
            leaders.append(i)
            groups.append([match])
    return [first._replace(alike=tuple(others)) for first, *others in groups]
