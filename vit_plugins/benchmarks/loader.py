"""Measure images per second of data loaders: collating small images, and photo pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .augment_chains import OTHER, host_transforms, official_chain, our_transforms
from .comparison import Comparison, Side
from .sample_images import write_photos
from .setting import Setting

# (kind, images, batch, workers)
RUNS = {
    'toy': (('digits', 32, 16, 0), ('photos', 4, 2, 0)),
    'cpu': tuple(('digits', 1438, 128, workers) for workers in (0, 1, 2))
    + tuple(('photos', 192, 32, workers) for workers in (0, 1, 2)),
    'gpu': (('digits', 1438, 128, 4), ('photos', 2048, 128, 8)),
    'large': (('photos', 8192, 256, 16),),
    'scaling': tuple(('digits', 1438, 128, workers) for workers in (0, 1, 2, 4, 8)),
}
# name: collate function, preprocessor, whether the images are kept in memory
COLLATES = {
    'ours': ('stacked_collate', 'StackedDataPreprocessor', False),
    'CachedImages': ('stacked_collate', 'StackedDataPreprocessor', True),
    'default_collate': ('default_collate', 'ClsDataPreprocessor', False),
    'pseudo_collate': ('pseudo_collate', 'ClsDataPreprocessor', False),
}
PIXELS = 224
PHOTO_SHAPE = (375, 500)


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    names = ('kind', 'images', 'batch', 'workers')
    return {_name(*run): dict(zip(names, run, strict=True)) for run in RUNS[size]}


def _name(kind: str, images: int, batch: int, workers: int) -> str:
    what = 'digits of 32 px' if kind == 'digits' else 'JPEG photos, SRC + 3-Augment'
    return f'{images} {what}, batches of {batch}, workers: {workers}'


def build(setting: Setting, *, kind: str, images: int, batch: int, workers: int) -> Comparison:
    """Return loaders with persistent workers; a call is an epoch.

    Args:
        setting: Not used: images are loaded on the CPU.
        kind: 'digits', from the loader to the target of the loss, or 'photos', only the loader.
        images: Number of images in the epoch.
        batch: Number of images in a batch.
        workers: Number of loading processes; 0 loads in the process that trains.
    """
    name = _name(kind, images, batch, workers)
    if kind == 'digits':
        sides = {key: _collating(key, images, batch, workers) for key in COLLATES}
        return Comparison(name, sides, tolerance=0.0, images=images)
    folder = TemporaryDirectory()
    files = write_photos(Path(folder.name, 'train', 'a'), images, *PHOTO_SHAPE)
    ours = [dict(type='LoadPhoto'), *our_transforms(PIXELS)]
    host = [dict(type='LoadImageFromFile'), *host_transforms(PIXELS)]
    loaders = {
        'ours': _loader(_folder(folder.name, ours), 'stacked_collate', batch, workers),
        'mmpretrain': _loader(_folder(folder.name, host), 'default_collate', batch, workers),
        'official': DataLoader(
            _OfficialPhotos(files), batch, num_workers=workers, persistent_workers=workers > 0
        ),
    }
    epochs = {key: _epoch(loader) for key, loader in loaders.items()}
    sides = {key: Side(epoch, about=OTHER) for key, epoch in epochs.items()}
    sides['ours'] = Side(epochs['ours'], lambda: [])
    return Comparison(name, sides, tolerance=0.0, images=images, held=folder)


def _epoch(loader: DataLoader) -> Callable[[], None]:
    def run() -> None:
        for _ in loader:
            pass

    return run


def _folder(root: str, pipeline: list[dict]) -> dict:
    images = dict(type='CustomDataset', data_root=root, data_prefix='train', with_label=True)
    return images | dict(pipeline=[*pipeline, dict(type='PackInputs')])


def _loader(dataset: dict, collate: str, batch: int, workers: int) -> DataLoader:
    loader = dict(
        dataset=dataset,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type=collate),
        batch_size=batch,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Runner.build_dataloader(loader, seed=0)


def _collating(key: str, images: int, batch: int, workers: int) -> Side:
    """Return a side that reads an epoch of 32 px digits as a training does."""
    collate, preprocessor, cached = COLLATES[key]
    pipeline = [dict(type='Resize', scale=(32, 32)), dict(type='PackInputs')]
    dataset = dict(type='Digits', split='trainval', indices=images, pipeline=pipeline)
    if cached:
        dataset = dict(type='CachedImages', dataset=dataset)
    loader = _loader(dataset, collate, batch, workers)
    ready: nn.Module = MODELS.build(dict(type=f'mmpretrain.{preprocessor}', num_classes=10))

    def run() -> list[Tensor]:
        found = []
        for given in loader:
            done = ready(given, True)
            # as the host's heads do
            labels = torch.cat([sample.gt_label for sample in done['data_samples']])
            found = [done['inputs'].float(), labels]
        return found

    return Side(run, run)


class _OfficialPhotos(Dataset):
    """Photos loaded from files by the authors' chain."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.transform = official_chain(PIXELS, to_float=True)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.open(self.files[index]).convert('RGB')), 0
