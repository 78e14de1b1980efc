"""Run a trained model on image files: what naming photos and searching them have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, Dataset

from ..config_edits.photos import accept_photos
from ..config_edits.walking import leaf_datasets
from ..datasets.folder_scan import describe_skipped, list_images
from ..datasets.image_check import ImageReport, inspect_image
from ..evaluation.functional.finite import first_non_finite
from ..fileio.progress_bar import tracked
from .loading import load_trained


@dataclass(frozen=True)
class PhotoModel:
    """A trained model with what it takes to feed it files.

    Attributes:
        model: The model, in evaluation mode.
        pipeline: The recipe's test transforms, from ``img_path`` on.
        dataset: The config of the recipe's test set.
        meta: What the checkpoint tells about itself.
    """

    model: BaseModel
    pipeline: Compose
    dataset: dict
    meta: dict[str, Any]


def load_for_photos(cfg: Config, checkpoint: str | Path, device: str | None = None) -> PhotoModel:
    """Build a trained model with the transforms that bring photos to it.

    Args:
        cfg: The config it was trained with; the training data need not be there.
        checkpoint: The file.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        CheckpointMismatchError: If the checkpoint does not fit the config.
        ValueError: If there is no such device.
    """
    cfg = accept_photos(cfg.copy())
    model, meta = load_trained(cfg, checkpoint, device)
    dataset = leaf_datasets(cfg.test_dataloader.dataset)[0]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose([TRANSFORMS.build(t) for t in dataset['pipeline']])
    return PhotoModel(model, pipeline, dataset, meta)


def gather_images(paths: Iterable[str | os.PathLike]) -> tuple[list[str], list[str]]:
    """List the files that are meant: files as they are, folders with all images below them.

    Args:
        paths: Files and folders.

    Returns:
        The files, and a sentence for each folder of which something is left out.
    """
    images: list[str] = []
    left_out: list[str] = []
    for path in map(Path, paths):
        if not path.is_dir():
            images.append(str(path))
            continue
        names, skipped = list_images(path)
        images += [str(path / name) for name in names]
        left_out += filter(None, [describe_skipped(path, skipped)])
    return images, left_out


def default_workers(num_images: int) -> int:
    """Choose the number of reading processes.

    Args:
        num_images: How many images are to be read.
    """
    # a process takes longer to start than a few images to read
    return min(os.cpu_count() or 1, 4) if num_images > 200 else 0


@torch.no_grad()
def run_on_photos(
    trained: PhotoModel,
    images: Sequence[str],
    *,
    title: str,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool | None = None,
    notes: dict[str, list[str]] | None = None,
) -> Iterator[tuple[str, DataSample | str]]:
    """Run the model on files, one batch after the other.

    Args:
        trained: The model.
        images: The files.
        title: What the progress bar calls it.
        batch_size: How many to run at once.
        workers: Processes that read; 0 reads in this one.
        progress: Whether to draw a progress bar. Default: if a person watches.
        notes: Filled with what the model is not shown, and of which images.

    Yields:
        Each file with what the model's ``predict`` says, or with the reason why it cannot be
        read.

    Raises:
        FloatingPointError: If an answer is not finite.
    """
    loader = DataLoader(
        _Files(images, trained.pipeline), batch_size, num_workers=workers, collate_fn=list
    )
    for batch in tracked(loader, len(loader), title, progress):
        readable = [(path, packed) for path, packed, _ in batch if packed is not None]
        answers = _answers(trained.model, [packed for _, packed in readable])
        _require_finite(answers, [path for path, _ in readable])
        answers = iter(answers)
        for path, packed, report in batch:
            for note in report.notes if notes is not None else ():
                notes.setdefault(note, []).append(path)
            yield path, report.problem if packed is None else next(answers)


def _require_finite(answers: Sequence[DataSample], paths: Sequence[str]) -> None:
    found = first_non_finite(answers)
    if found is not None:
        place, field = found
        raise FloatingPointError(
            f'the {field} of {paths[place]} is not finite: the checkpoint is of a training that '
            'diverged; take an earlier one, or train again with a lower learning rate'
        )


class _Files(Dataset):
    def __init__(self, images: Sequence[str], pipeline: Compose) -> None:
        self.images = images
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[str, dict | None, ImageReport]:
        path = self.images[index]
        # a shortened JPEG, which OpenCV may fill with grey, is not worth an answer
        report = inspect_image(path)
        return path, None if report.problem else self.pipeline({'img_path': path}), report


def _answers(model: BaseModel, packed: list[dict]) -> list[DataSample]:
    # recipes without a crop leave every image its size: no batch then
    alike = len({tuple(item['inputs'].shape) for item in packed}) == 1
    batches = [packed] if alike else [[item] for item in packed]
    return [sample for batch in batches for sample in model.test_step(default_collate(batch))]
