"""Compute class names, probabilities and features of images with a trained model."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import torch
from mmpretrain.models.retrievers import BaseRetriever
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample

from ..config_edits.reading import read_config_file
from ..datasets.photo_file import name_unreadable
from .describing import features_of_batch
from .photo_names import gather_given
from .photos import PhotoModel, load_for_photos, run_on_photos
from .pixel_input import Image
from .trained_files import find_model


@dataclass(frozen=True)
class Prediction:
    """The answer of a classifier for an image.

    Attributes:
        image: The file, or the position of an image given as pixels (``image 0`` for the first).
        classes: Names and probabilities, the most probable first; empty if the image cannot be
            read.
        problem: Why the image cannot be read; None if it can.
    """

    image: str
    classes: tuple[tuple[str, float], ...] = ()
    problem: str | None = None

    @property
    def label(self) -> str | None:
        """The most probable class; None if the image cannot be read."""
        return self.classes[0][0] if self.classes else None

    @property
    def probability(self) -> float | None:
        """The probability of the most probable class; None if the image cannot be read."""
        return self.classes[0][1] if self.classes else None


class Classifier:
    """A trained model that classifies images::

        from vit_plugins import Classifier
        for answer in Classifier('work_dirs/photos')(['a.jpg', 'more_photos']):
            print(answer.image, answer.label, answer.probability)

    Images are files, folders, globs, addresses, RGB arrays (H, W, 3) of uint8 and PIL images;
    one or several, and of different types. Files, arrays and PIL images of the same pixels give
    the same answers.

    The host's ``ImageClassificationInferencer`` reads every file as BGR, whatever the model was
    trained on, replaces the recipe's loader and stops at the first unreadable file. This class
    does not.

    Args:
        model: The work dir of a training; a checkpoint (its config is then the one in the same
            folder); or the name of a model with published weights. The data it was trained on
            need not be available.
        config: The config to use instead of the one beside the weights.
        checkpoint: The checkpoint of a work dir to use. Default: the best, or else the newest.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``. Default: a GPU if there is one.
        batch_size: How many images to run at once.
        workers: Processes that read files; 0 reads in this one. Default: a few for many
            files, 0 where processes are spawned (macOS, Windows).

    Raises:
        FileNotFoundError: If there is no such work dir, config or checkpoint.
        ValueError: If checkpoint and config do not fit, or the model names no classes.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        config: str | os.PathLike | None = None,
        *,
        checkpoint: str | os.PathLike | None = None,
        device: str | None = None,
        batch_size: int = 32,
        workers: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be 1 or more, got {batch_size}')
        self.config, self.checkpoint = find_model(model, config, checkpoint)
        self.batch_size = batch_size
        self.workers = workers
        with redirect_stdout(sys.stderr):  # the host's log
            self.trained = load_for_photos(read_config_file(self.config), self.checkpoint, device)
        if isinstance(self.trained.model, BaseRetriever):
            raise ValueError(
                f'{self.checkpoint} is of the retriever {type(self.trained.model).__name__}, '
                'which compares images and names no classes. Search photos with it: python '
                'tools/retrieve.py index GALLERY PHOTOS --work-dir '
                f'{shlex.quote(str(self.checkpoint.parent))}'
            )
        self.classes = class_names(self.trained)

    def __call__(
        self, images: Image | Iterable[Image], top_k: int | None = None
    ) -> list[Prediction]:
        """Classify images.

        Args:
            images: One, or several.
            top_k: How many classes to return for each image. Default: all.

        Returns:
            An answer for each image, in order. For an image that cannot be read, it has the
            reason.

        Raises:
            FileNotFoundError: If a folder contains no image or a glob matches none.
            ValueError: If an array is not RGB of uint8.
            FloatingPointError: If a probability is not a finite number.
        """
        return list(self.stream(gather_given(images), top_k))

    def stream(
        self,
        images: Iterable[Image],
        top_k: int | None = None,
        *,
        progress: bool | None = False,
        notes: dict[str, list[str]] | None = None,
    ) -> Iterator[Prediction]:
        """Classify images one batch after the other, in memory that does not grow with them.

        Args:
            images: Files, arrays and PIL images. A generator is read step by step.
            top_k: How many classes to return for each image. Default: all.
            progress: Whether to show a progress bar; None shows it if the output is a terminal.
            notes: Filled with what the model does not use of an image, and the images concerned.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f'top_k must be 1 or more, got {top_k}')
        options = {'title': 'Classifying', 'progress': progress, 'notes': notes}
        for name, answer in self._run(images, **options):
            if isinstance(answer, str):
                yield Prediction(name, problem=answer)
            else:
                yield Prediction(name, self._named(answer.pred_score.cpu(), top_k))

    def probabilities(self, images: Image | Iterable[Image]) -> np.ndarray:
        """Return the probability of each class (N, C), in the order of ``classes``.

        Args:
            images: One, or several.

        Raises:
            ValueError: If an image cannot be read.
        """
        found = self._run(gather_given(images), title='Classifying', progress=False)
        rows = [_readable(name, answer).pred_score.cpu() for name, answer in found]
        return torch.stack(rows).numpy() if rows else np.empty((0, len(self.classes)), np.float32)

    def features(self, images: Image | Iterable[Image]) -> np.ndarray:
        """Return the pooled features (N, D) before the classifier's last layers.

        They are not normalised; divide them by their norm to compare directions.

        Args:
            images: One, or several.

        Raises:
            ValueError: If an image cannot be read.
        """
        options = {'title': 'Describing', 'progress': False, 'run': features_of_batch}
        found = self._run(gather_given(images), **options)
        rows = [_readable(name, answer).embedding.float().cpu() for name, answer in found]
        return torch.stack(rows).numpy() if rows else np.empty((0, 0), np.float32)

    def _run(self, images: Iterable[Image], **options) -> Iterator[tuple[str, DataSample | str]]:
        options = {'batch_size': self.batch_size, 'workers': self.workers, **options}
        return run_on_photos(self.trained, images, **options)

    def _named(self, scores: torch.Tensor, top_k: int | None) -> tuple[tuple[str, float], ...]:
        classes = self.classes
        names = classes if len(classes) == len(scores) else [str(i) for i in range(len(scores))]
        order = scores.argsort(descending=True, stable=True)[:top_k].tolist()
        return tuple((names[i], scores[i].item()) for i in order)

    def __repr__(self) -> str:
        """Return the name of the model."""
        return f'Classifier({str(self.checkpoint)!r}, {len(self.classes)} classes)'


def class_names(trained: PhotoModel) -> tuple[str, ...]:
    """Return the names of the classes of a model; none if they are not known.

    Args:
        trained: The model with its dataset.
    """
    kind = trained.dataset['type']
    kind = DATASETS.get(kind) if isinstance(kind, str) else None
    sources = (
        trained.meta.get('dataset_meta'),
        trained.dataset.get('metainfo'),
        getattr(kind, 'METAINFO', None),
    )
    return tuple(next((s['classes'] for s in sources if s and s.get('classes')), ()))


def _readable(name: str, answer: DataSample | str) -> DataSample:
    if isinstance(answer, str):
        raise ValueError(name_unreadable(name, answer))
    return answer
