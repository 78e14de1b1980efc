"""Run a trained model on image files: the shared steps of classifying and searching photos."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, Dataset

from ..config_edits.evaluation_part import evaluation_loader
from ..config_edits.photos import accept_photos
from ..config_edits.walking import leaf_datasets
from ..datasets.image_check import ImageReport, inspect_image
from ..datasets.photo_decoding import UndecodableError
from ..datasets.photo_file import PhotoFileError
from ..datasets.photo_limits import LIMITS
from ..datasets.transforms.load_photo import LoadPhoto
from ..evaluation.functional.finite import first_non_finite
from ..fileio.progress_bar import tracked
from .downloading import DownloadError, downloaded, is_address
from .loading import load_trained
from .pixel_input import Image, loaded_pixels

# its name, the model's input (None if it cannot be read), a note or reason about it
Read: TypeAlias = tuple[str, dict | None, ImageReport]
# names and reports, which have a problem if it cannot be read; the inputs of the others in batches
ReadBatch: TypeAlias = tuple[list[tuple[str, ImageReport]], list[dict]]


@dataclass(frozen=True)
class PhotoModel:
    """A trained model with the transforms that it needs to run on files.

    Attributes:
        model: The model, in evaluation mode.
        pipeline: The recipe's test transforms, from ``img_path`` on.
        dataset: The config of the recipe's test set.
        meta: The meta data of the checkpoint.
    """

    model: BaseModel
    pipeline: Compose
    dataset: dict
    meta: dict[str, Any]


def load_for_photos(
    cfg: Config, checkpoint: str | Path | None, device: str | None = None
) -> PhotoModel:
    """Build a trained model with the transforms that prepare photos for it.

    Args:
        cfg: The config that it was trained with; the training data need not be available.
        checkpoint: The file; None for the weights that a training would start from.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        CheckpointMismatchError: If the checkpoint does not fit the config.
        ValueError: If there is no such device.
    """
    cfg = accept_photos(cfg.copy())
    model, meta = load_trained(cfg, checkpoint, device)
    dataset = leaf_datasets(evaluation_loader(cfg)['dataset'])[0]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose([TRANSFORMS.build(t) for t in dataset['pipeline']])
    return PhotoModel(model, pipeline, dataset, meta)


def default_workers(num_images: int) -> int:
    """Choose the number of reading processes.

    None are started where processes are spawned, as on macOS and Windows: each process would run
    the caller's program from its beginning, and a script of three lines without a main guard would
    fail.

    Args:
        num_images: How many images are to be read.
    """
    method = multiprocessing.get_start_method(allow_none=True)
    method = method or multiprocessing.get_all_start_methods()[0]  # the default of the system
    # a process takes longer to start than a few images to read
    return min(os.cpu_count() or 1, 4) if num_images > 200 and method == 'fork' else 0


@torch.no_grad()
def run_on_photos(
    trained: PhotoModel,
    images: Iterable[Image],
    *,
    title: str,
    run: Callable[[BaseModel, dict], Sequence[DataSample]] | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    progress: bool | None = None,
    notes: dict[str, list[str]] | None = None,
) -> Iterator[tuple[str, DataSample | str]]:
    """Run the model on images, one batch after the other.

    Args:
        trained: The model.
        images: Files, RGB arrays (H, W, 3) of uint8 and PIL images, of different types if needed.
            An iterable that is no sequence, such as a generator, is read step by step.
        title: The title of the progress bar.
        run: Function of the model and a batch that returns a sample for each image. Default:
            ``test_step``.
        batch_size: How many to run at once.
        workers: Processes that read files; 0 reads in this process. Default: a few for many files.
        progress: Whether to show a progress bar. Default: if the output is a terminal.
        notes: Filled with what the model does not use of an image, and the images concerned.

    Yields:
        Each image (for pixels their position, ``image 0`` and so on) with the result of ``run``,
        or with the reason why it cannot be read.

    Raises:
        FloatingPointError: If a result is not finite.
    """
    run = run or (lambda model, batch: model.test_step(batch))
    for reports, inputs in _read_batches(trained, images, title, batch_size, workers, progress):
        answers = [sample for some in inputs for sample in run(trained.model, some)]
        _require_finite(answers, [name for name, report in reports if report.problem is None])
        found = iter(answers)
        for name, report in reports:
            for note in report.notes if notes is not None else ():
                notes.setdefault(note, []).append(name)
            yield name, next(found) if report.problem is None else report.problem


def _require_finite(answers: Sequence[DataSample], names: Sequence[str]) -> None:
    found = first_non_finite(answers)
    if found is not None:
        place, field = found
        raise FloatingPointError(
            f'the {field} of {names[place]} is not finite: the checkpoint is of a training that '
            'diverged; take an earlier one, or train again with a lower learning rate'
        )


def _read_batches(
    trained: PhotoModel,
    images: Iterable[Image],
    title: str,
    batch_size: int,
    workers: int | None,
    progress: bool | None,
) -> Iterator[ReadBatch]:
    if isinstance(images, Sequence):
        if workers is None:
            workers = default_workers(len(images)) if _are_files(images) else 0
        reader = _Reader(images, trained.pipeline)
        loader = DataLoader(reader, batch_size, num_workers=workers, collate_fn=_collate)
        yield from tracked(loader, len(loader), title, progress)
        return
    reader = _Reader((), trained.pipeline)
    numbered = enumerate(images)
    while some := list(itertools.islice(numbered, batch_size)):
        yield _collate([reader.read(number, image) for number, image in some])


def _are_files(images: Sequence[Image]) -> bool:
    return all(isinstance(image, str | os.PathLike) for image in images)


class _Reader(Dataset):
    def __init__(self, images: Sequence[Image], pipeline: Compose) -> None:
        self.images = images
        self.pipeline = pipeline
        loader = pipeline.transforms[0]
        self.grey = getattr(loader, 'color_type', 'color') == 'grayscale'
        self.limits = getattr(loader, 'limits', LIMITS)
        # another loader than ours may fill a JPEG with grey or return nothing
        self.decodes = isinstance(loader, LoadPhoto) and not loader.ignore_empty

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Read:
        return self.read(index, self.images[index])

    def read(self, number: int, image: Image) -> Read:
        if not isinstance(image, str | os.PathLike):
            packed = loaded_pixels(image, grey=self.grey)
            for step in self.pipeline.transforms[1:]:  # an error of the steps after the loader
                packed = step(packed)
            return f'image {number}', packed, ImageReport()
        path = os.fspath(image)
        if not is_address(path):
            return path, *self._packed(path)
        try:
            with downloaded(path) as file:
                return path, *self._packed(str(file))
        except DownloadError as error:
            return path, None, ImageReport(str(error))

    def _packed(self, path: str) -> tuple[dict | None, ImageReport]:
        # no answer for a truncated JPEG, which OpenCV may fill with grey
        report = inspect_image(path, self.limits, decodes_later=self.decodes)
        if report.problem:
            return None, report
        try:
            return self.pipeline({'img_path': path}), report
        except UndecodableError as error:
            return None, ImageReport(str(error.__cause__ or error))
        except PhotoFileError as error:  # removed or replaced since the check
            return None, ImageReport(str(error))


def _collate(reads: list[Read]) -> ReadBatch:
    """Form batches in the worker: each tensor that it sends takes an open file."""
    packed = [item for _, item, _ in reads if item is not None]
    # recipes without a crop keep the size of every image, so images may not form a batch
    alike = len({tuple(item['inputs'].shape) for item in packed}) == 1
    batches = [packed] if alike else [[item] for item in packed]
    return [(name, report) for name, _, report in reads], [default_collate(b) for b in batches]
