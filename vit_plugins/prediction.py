"""From a work dir and image files to class names and probabilities."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmpretrain import get_model
from mmpretrain.registry import DATASETS, TRANSFORMS
from torch.utils.data import DataLoader, Dataset

from .datasets.folder_scan import list_images
from .datasets.image_check import image_problem, tracked
from .datasets.photo_pipeline import accept_photos, walk

# classes with their probabilities, highest first; or why the file cannot be read
Answer = list[tuple[str, float]] | str


@dataclass(frozen=True)
class Classifier:
    """A trained model with what it takes to feed it files and name its answers.

    The host's ``ImageClassificationInferencer`` reads every file as BGR, whatever the model was
    trained on, replaces the recipe's loader and stops at the first unreadable file; hence this.

    Attributes:
        model: The model, in evaluation mode.
        pipeline: The recipe's test transforms, from ``img_path`` on.
        classes: The names.
    """

    model: BaseModel
    pipeline: Compose
    classes: tuple[str, ...]


def load_classifier(cfg: Config, checkpoint: Path, device: str | None = None) -> Classifier:
    """Build a trained model; the training data need not be there.

    Args:
        cfg: The config it was trained with.
        checkpoint: The file.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If the checkpoint does not fit the config; the host would go on with the
            random numbers of a new layer.
    """
    cfg = accept_photos(cfg.copy())
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    model = get_model(cfg, pretrained=False, device=device)
    try:
        loaded = load_checkpoint(
            model, str(checkpoint), map_location='cpu', strict=True, logger='silent'
        )
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit the config beside it: {error}') from error
    dataset = next(node for node in walk(cfg.test_dataloader.dataset) if 'pipeline' in node)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose([TRANSFORMS.build(t) for t in dataset['pipeline']])
        kind = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else None
    sources = (
        loaded.get('meta', {}).get('dataset_meta'),
        dataset.get('metainfo'),
        getattr(kind, 'METAINFO', None),
    )
    names = next((s['classes'] for s in sources if s and s.get('classes')), ())
    return Classifier(model, pipeline, tuple(names))


def gather_images(paths: Iterable[str | os.PathLike]) -> list[str]:
    """List the files that are meant: files as they are, folders with all images below them.

    Args:
        paths: Files and folders.
    """
    images: list[str] = []
    for path in map(Path, paths):
        images += [str(path / n) for n in list_images(path)[0]] if path.is_dir() else [str(path)]
    return images


@torch.no_grad()
def predict_images(
    classifier: Classifier,
    images: Sequence[str],
    *,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool | None = None,
) -> Iterator[tuple[str, Answer]]:
    """Classify files, one after the other.

    Args:
        classifier: The model.
        images: The files.
        batch_size: How many to classify at once.
        workers: Processes that read; 0 reads in this one.
        progress: Whether to draw a progress bar. Default: if a person watches.

    Yields:
        Each file with all classes and their probabilities, highest first, or with the reason
        why it cannot be read.
    """
    loader = DataLoader(
        _Files(images, classifier.pipeline), batch_size, num_workers=workers, collate_fn=list
    )
    for batch in tracked(loader, len(loader), 'Classifying', progress):
        readable = [packed for _, packed in batch if not isinstance(packed, str)]
        scores = iter(_scores(classifier.model, readable))
        for path, packed in batch:
            yield (
                path,
                packed if isinstance(packed, str) else _named(next(scores), classifier.classes),
            )


class _Files(Dataset):
    def __init__(self, images: Sequence[str], pipeline: Compose) -> None:
        self.images = images
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[str, dict | str]:
        path = self.images[index]
        # a shortened JPEG, which OpenCV may fill with grey, is not worth an answer
        return path, image_problem(path) or self.pipeline({'img_path': path})


def _scores(model: BaseModel, packed: list[dict]) -> list[torch.Tensor]:
    # recipes without a crop leave every image its size: no batch then
    alike = len({tuple(item['inputs'].shape) for item in packed}) == 1
    batches = [packed] if alike else [[item] for item in packed]
    return [
        sample.pred_score.cpu()
        for batch in batches
        for sample in model.test_step(default_collate(batch))
    ]


def _named(scores: torch.Tensor, classes: Sequence[str]) -> list[tuple[str, float]]:
    names = classes if len(classes) == len(scores) else [str(i) for i in range(len(scores))]
    order = scores.argsort(descending=True, stable=True).tolist()
    return [(names[i], scores[i].item()) for i in order]


def write_predictions(
    found: list[tuple[str, Answer]],
    file: TextIO,
    kind: str,
    top_k: int = 1,
    about: dict[str, Any] | None = None,
) -> None:
    """Write what ``predict_images`` gave.

    Args:
        found: Files with probabilities or reasons.
        file: Where to write.
        kind: 'csv' (a line for each readable image), 'json' (unreadable ones too) or 'table'.
        top_k: How many classes of each image.
        about: What else to put into JSON.
    """
    answers = [(path, answer[:top_k]) for path, answer in found if not isinstance(answer, str)]
    if kind == 'json':
        tops = [
            {
                'image': path,
                'predictions': [{'class': c, 'probability': round(p, 6)} for c, p in top],
            }
            for path, top in answers
        ]
        bad = [{'image': path, 'reason': why} for path, why in found if isinstance(why, str)]
        whole = {**(about or {}), 'images': tops, 'unreadable': bad}
        json.dump(whole, file, indent=2, ensure_ascii=False)
        file.write('\n')
    elif kind == 'csv':
        width = max((len(top) for _, top in answers), default=1)
        ranks = ['', *(f'_{rank}' for rank in range(2, width + 1))]
        writer = csv.writer(file)
        writer.writerow(['image', *(n + r for r in ranks for n in ('class', 'probability'))])
        for path, top in answers:
            writer.writerow([path, *(cell for c, p in top for cell in (c, f'{p:.6f}'))])
    else:
        for path, top in answers:
            file.write(f'{path}\t' + ', '.join(f'{c} {100 * p:.1f} %' for c, p in top) + '\n')
