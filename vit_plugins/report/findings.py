"""Compute the results of a trained model on its validation images: numbers, no pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmpretrain.models import ImageClassifier
from mmpretrain.models.retrievers import BaseRetriever
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from ..command_line.worker_message import message_of
from ..config_edits.seen_photos import leave_out_seen
from ..config_edits.walking import type_name
from ..datasets.trained_photos import trained_photos_beside
from ..fileio.printable_text import printable
from ..inference.features import read_split
from ..inference.loading import load_trained
from .inside import Inside, look_inside
from .neighbours import Neighbours, find_neighbours
from .outcome import Outcome
from .photo_baselines import LARGEST, photo_baselines
from .predictions import Predictions, predict_split
from .shown_images import ShownImage, shown_image
from .work_dir import TrainedRun


@dataclass(frozen=True)
class Findings:
    """A training with the results of its model.

    Attributes:
        run: The contents of its work dir.
        kind: The type of the model, such as ``'ImageClassifier'``.
        backbone: The type of its backbone, such as ``'ConViT'``.
        parameters: How many it has.
        classes: The names of the classes; for a retriever, of those that it is validated on.
        images: The validation images.
        predictions: The predictions of a classifier for them; None for other models, or without
            images.
        neighbours: The results of a retriever among them; None for other models.
        train_counts: Training images of each class; empty if they could not be counted.
        trained: The number of training images; None if they could not be counted.
        trained_for: The epochs or steps of the weights; None if the checkpoint does not say.
        baselines: Accuracy in percent on the same images, by name, or the reason why there is
            none.
        inside: Gates, locality and attention of the model.
        problems: Sentences about what could not be computed.
    """

    run: TrainedRun
    kind: str
    backbone: str
    parameters: int
    classes: tuple[str, ...] = ()
    images: Sequence[ShownImage] = ()
    predictions: Predictions | None = None
    neighbours: Neighbours | None = None
    train_counts: Sequence[int] = ()
    trained: int | None = None
    trained_for: int | None = None
    baselines: Mapping[str, float | str] = field(default_factory=dict)
    inside: Inside = field(default_factory=Inside)
    problems: tuple[str, ...] = ()


def find_out(run: TrainedRun, device: str | None = None, baselines: bool = True) -> Findings:
    """Run the model of a training on its validation images.

    If data no longer exist, a note replaces the results that need them.

    Args:
        run: The contents of its work dir.
        device: Where to run. Default: a GPU if there is one.
        baselines: Whether to compute the baselines that the training did not; this takes at most a
            minute.

    Raises:
        CheckpointMismatchError: If checkpoint and config do not fit.
    """
    cfg = deepcopy(run.cfg)
    leave_out_seen(cfg, trained_photos_beside(run.checkpoint))
    model, meta = load_trained(cfg, run.checkpoint, device)
    found = Findings(
        run=run,
        kind=type(model).__name__,
        backbone=type(getattr(model, 'backbone', model)).__name__,
        parameters=sum(p.numel() for p in model.parameters()),
        classes=tuple(map(str, (meta.get('dataset_meta') or {}).get('classes') or ())),
        trained_for=_trained_for(run, meta),
    )
    try:
        part = 'val' if cfg.get('val_dataloader') else 'test'
        loader = read_split(cfg, part, skip_unreadable=True)
    except Exception as error:  # any error of a dataset whose files are gone
        found = replace(found, inside=look_inside(model, None))
        return _with_problem(found, f'The validation images could not be read: {error}')
    if left_out := getattr(loader.dataset, 'left_out', ()):
        found = _with_problem(found, _told_left_out(left_out))
    found = _on_images(found, model, loader)
    found = replace(found, inside=look_inside(model, loader, _examples(found.predictions)))
    try:
        return _with_training_images(found, cfg, loader.dataset, baselines)
    except Exception as error:  # as above
        return _with_problem(found, f'The training images could not be read: {error}')


def outcome_of(found: Findings) -> Outcome:
    """Return the outcome of a classifier's training, computed from its findings.

    Args:
        found: The findings, with predictions.
    """
    known = found.run.outcome
    return Outcome(
        epoch=found.trained_for or 0,
        unit=found.run.curves.unit,
        confusion=found.predictions.confusion,
        classes=found.classes,
        train_counts=found.train_counts,
        train_accuracy=known.train_accuracy if known else None,
        last_accuracy=known.last_accuracy if known else None,
        baselines=found.baselines,
        frozen=bool(known and known.frozen),
    )


def _trained_for(run: TrainedRun, meta: Mapping[str, Any]) -> int | None:
    """Return the epoch or step of the weights; for the best by steps, the host counts one more."""
    if run.curves.unit == 'epoch':
        return meta.get('epoch')
    named = re.search(r'_iter_(\d+)\.pth$', f'_{Path(run.checkpoint).name}')
    return int(named[1]) if named else meta.get('iter')


def _on_images(found: Findings, model: BaseModel, loader: DataLoader) -> Findings:
    dataset = loader.dataset
    classes = tuple(map(str, (dataset.metainfo or {}).get('classes') or found.classes))
    try:
        if isinstance(model, ImageClassifier):
            found = replace(found, predictions=predict_split(model, loader))
        elif isinstance(model, BaseRetriever):
            found = replace(found, neighbours=find_neighbours(model, loader))
    except (ValueError, OSError) as error:
        told = message_of(error)
        found = _with_problem(found, f'The model could not be run on the images: {told}')
    images = [shown_image(dataset, i) for i in range(len(dataset))]
    return replace(found, classes=_named(classes, found), images=images)


def _told_left_out(names: Sequence[str]) -> str:
    return (
        f'{len(names)} of the validation images cannot be read and are left out: '
        f'{", ".join(map(printable, names))}'
    )


def _examples(said: Predictions | None, count: int = 4) -> list[int]:
    """Choose images whose attention is shown: the most confident mistakes, and as many others."""
    if said is None:
        return []
    right = np.flatnonzero(said.right)
    spread = np.linspace(0, len(right) - 1, min(count, len(right))).astype(int)
    return [*said.sure_mistakes[:count].tolist(), *right[spread].tolist()]


def _named(classes: tuple[str, ...], found: Findings) -> tuple[str, ...]:
    """Return the names of the classes, or numbers if there are no names."""
    if found.predictions is None or len(classes) == found.predictions.probabilities.shape[1]:
        return classes
    return tuple(map(str, range(found.predictions.probabilities.shape[1])))


def _with_training_images(
    found: Findings, cfg: Config, validated: Any, baselines: bool
) -> Findings:
    dataset = _label_dataset(cfg)
    found = replace(found, trained=len(dataset))
    if found.predictions is None:
        return found
    labels = [dataset.get_cat_ids(i)[0] for i in range(len(dataset))]
    counts = np.bincount(labels, minlength=len(found.classes))
    known = found.run.outcome.baselines if found.run.outcome else None
    if not known and baselines:
        known = photo_baselines(dataset, validated)
    largest = 100 * float(np.mean(found.predictions.labels == counts.argmax()))
    scores = {LARGEST: largest, **(known or {})}
    return replace(found, train_counts=counts.tolist(), baselines=scores)


def _label_dataset(cfg: Config) -> Any:
    """Build the training dataset, without a cache of its pixels."""
    settings = cfg.train_dataloader.dataset
    while type_name(settings) == 'CachedImages':
        settings = settings['dataset']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(settings)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _with_problem(found: Findings, problem: str) -> Findings:
    return replace(found, problems=(*found.problems, problem))
