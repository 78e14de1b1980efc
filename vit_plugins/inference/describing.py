"""Compute one vector for each image with any model, for searching and probing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmpretrain.models.retrievers import BaseRetriever
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.nn import functional as F

from .features import pooled_features
from .photos import load_for_photos, run_on_photos
from .pixel_input import Image


def features_of_batch(model: BaseModel, batch: dict) -> list[DataSample]:
    """Return the pooled features (D,) of each image, as ``embedding`` of a sample.

    Args:
        model: A classifier; only its backbone and neck are used.
        batch: A batch of a loader, with ``inputs`` and ``data_samples``.
    """
    inputs = model.data_preprocessor(batch, False)['inputs']
    found = pooled_features(model, inputs)  # (B, D)
    return [_with_embedding(vector) for vector in found]


def descriptors_of_batch(model: BaseModel, batch: dict) -> Sequence[DataSample]:
    """Return a descriptor (D,) of unit length for each image, as ``embedding`` of a sample.

    A retriever has descriptors of its own; for a classifier the pooled features are used.

    Args:
        model: A retriever or a classifier.
        batch: A batch of a loader, with ``inputs`` and ``data_samples``.

    Raises:
        ValueError: If a retriever returns no descriptors.
    """
    if not isinstance(model, BaseRetriever):
        return [
            _with_embedding(F.normalize(sample.embedding.float(), dim=0))
            for sample in features_of_batch(model, batch)
        ]
    samples = model.test_step(batch)
    if any('embedding' not in sample for sample in samples):
        raise ValueError(
            f'{type(model).__name__} gives no descriptors: its config needs EmbeddingRetriever'
        )
    return samples


def _with_embedding(vector: Tensor) -> DataSample:
    sample = DataSample()
    sample.set_field(vector, 'embedding', dtype=Tensor)
    return sample


class Describer:
    """A trained model that computes a vector of unit length for each image.

    Args:
        cfg: Its config.
        checkpoint: Its file.
        device: Where to run. Default: a GPU if there is one.
        batch_size: How many images to run at once.
        workers: Processes that read files. Default: a few for many files.

    Raises:
        ValueError: If checkpoint and config do not fit, or a PCA has not been fitted.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike,
        device: str | None = None,
        *,
        batch_size: int = 32,
        workers: int | None = None,
    ) -> None:
        with redirect_stdout(sys.stderr):  # the host's log
            self.trained = load_for_photos(cfg, Path(checkpoint), device)
        self.batch_size = batch_size
        self.workers = workers
        pca = getattr(self.trained.model, 'pca', None)
        if pca is not None and not getattr(pca, 'is_fitted', True):
            raise ValueError(
                f'the PCA in {checkpoint} has not been fitted to its weights: take the last or '
                'the best checkpoint of a training with FitPCAHook, or a config without pca'
            )

    def describe(
        self,
        images: Iterable[Image],
        *,
        progress: bool | None = False,
        notes: dict[str, list[str]] | None = None,
    ) -> Iterator[tuple[str, np.ndarray | str]]:
        """Describe images, one batch after the other.

        Args:
            images: Files, arrays and PIL images.
            progress: Whether to show a progress bar; None shows it if the output is a terminal.
            notes: Filled with what the model does not use of an image, and the images concerned.

        Yields:
            Each image with its descriptor (D,), or with the reason why it cannot be read.
        """
        options = {'title': 'Describing', 'run': descriptors_of_batch, 'progress': progress}
        options |= {'batch_size': self.batch_size, 'workers': self.workers, 'notes': notes}
        for name, answer in run_on_photos(self.trained, images, **options):
            yield name, answer if isinstance(answer, str) else answer.embedding.cpu().numpy()
