"""From a work dir and image files to class names and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmpretrain.models.retrievers import BaseRetriever
from mmpretrain.registry import DATASETS

from .photos import PhotoModel, load_for_photos, run_on_photos

# classes with their probabilities, highest first; or why the file cannot be read
Answer = list[tuple[str, float]] | str


@dataclass(frozen=True)
class Classifier:
    """A trained model that can name its answers.

    The host's ``ImageClassificationInferencer`` reads every file as BGR, whatever the model was
    trained on, replaces the recipe's loader and stops at the first unreadable file; hence this.

    Attributes:
        trained: The model and what it takes to feed it files.
        classes: The names.
    """

    trained: PhotoModel
    classes: tuple[str, ...]


def load_classifier(cfg: Config, checkpoint: Path, device: str | None = None) -> Classifier:
    """Build a trained model; the training data need not be there.

    Args:
        cfg: The config it was trained with.
        checkpoint: The file.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If the checkpoint does not fit the config, or the model names no classes.
    """
    trained = load_for_photos(cfg, checkpoint, device)
    if isinstance(trained.model, BaseRetriever):
        raise ValueError(
            f'{checkpoint} is of the retriever {type(trained.model).__name__}, which compares '
            'images and names no classes. Search photos with it: '
            f'python tools/retrieve.py index GALLERY PHOTOS --work-dir {Path(checkpoint).parent}'
        )
    return Classifier(trained, class_names(trained))


def class_names(trained: PhotoModel) -> tuple[str, ...]:
    """Return the names of the classes that a model tells apart; none if nothing knows them.

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


def predict_images(
    classifier: Classifier,
    images: Sequence[str],
    *,
    top_k: int | None = None,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool | None = None,
    notes: dict[str, list[str]] | None = None,
) -> Iterator[tuple[str, Answer]]:
    """Classify files, one after the other.

    Args:
        classifier: The model.
        images: The files.
        top_k: How many classes of each image to return. Default: all.
        batch_size: How many to classify at once.
        workers: Processes that read; 0 reads in this one.
        progress: Whether to draw a progress bar. Default: if a person watches.
        notes: Filled with what the model is not shown, and of which images.

    Yields:
        Each file with its classes and their probabilities, highest first, or with the reason
        why it cannot be read.

    Raises:
        FloatingPointError: If a probability is not a finite number.
    """
    answers = run_on_photos(
        classifier.trained,
        images,
        title='Classifying',
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        notes=notes,
    )
    for path, answer in answers:
        if isinstance(answer, str):
            yield path, answer
        else:
            yield path, _named(answer.pred_score.cpu(), classifier.classes, top_k)


def _named(
    scores: torch.Tensor, classes: Sequence[str], top_k: int | None
) -> list[tuple[str, float]]:
    names = classes if len(classes) == len(scores) else [str(i) for i in range(len(scores))]
    order = scores.argsort(descending=True, stable=True)[:top_k].tolist()
    return [(names[i], scores[i].item()) for i in order]
