"""A dataset whose images are decoded once and stay in memory."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpretrain.registry import DATASETS
from torch import Tensor
from torch.utils.data import get_worker_info

from ..structures import DataSampleBatch, StackedItems
from ._dataset_wrapper import ReadingWrapper
from ._image_cache import decode_once

META = ('sample_idx', 'img_path')


@DATASETS.register_module()
class CachedImages(ReadingWrapper):
    """Keep the output images of a dataset's pipeline, uint8, in memory or on a GPU.

    It is meant for small datasets: 50,000 images of 32 px take 154 MB. The inner pipeline loads
    and resizes, and must not be random. Random transforms come later, for the whole batch at once,
    as ``batch_transforms`` of :class:`StackedDataPreprocessor`. With ``collate_fn``
    'stacked_collate' a batch costs one indexing of a tensor, in the main process
    (``num_workers=0``) or in workers.

    A batch also contains ``draw_seeds``, one for each image, from which batch transforms sample.
    They come from ``SeededDrawsHook``, or from numpy's stream if there is no such hook.

    Args:
        dataset: A dataset, or the config of one; its pipeline ends in ``PackInputs`` and leaves
            images of one size.
        cache_dir: Folder for the decoded pixels, so that the next run need not decode. They are
            found again by the dataset's files (name, size, time) and its pipeline. None keeps
            none. '~' is the home folder.
        device: The device of the pixels; 'cuda' only with ``num_workers=0``.
        lazy_init: Whether to decode only when first used.

    Raises:
        ValueError: If (once the data are read) the pipeline is random, its images differ in size
            or are not uint8, the images do not fit into half of the memory, or an image cannot be
            loaded; with ``cache_dir``, if an image has neither a file nor an array that
            identifies it; if a hook sets another ``pipeline``.
    """

    def __init__(
        self,
        dataset: Any,
        cache_dir: str | os.PathLike | None = None,
        device: str = 'cpu',
        lazy_init: bool = False,
    ) -> None:
        # Describes the pipeline in the fingerprint; a built dataset only has its repr.
        self._recipe = repr(dataset)
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self.device = torch.device(device)
        super().__init__(dataset, lazy_init)

    def read(self) -> None:
        """Decode the images or read them from the cache."""
        if len(self.dataset) == 0:
            raise ValueError('CachedImages needs at least one image, its dataset has none.')
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        _refuse_draws(lambda: self._decode(0))
        file = None
        if self.cache_dir is not None:
            file = self.cache_dir / f'{fingerprint(infos, self._recipe)}.npy'
        pixels = decode_once(self._decode, len(infos), file)
        self.pixels = pixels.to(self.device)  # (N, C, H, W)
        self.labels = _labels(infos)
        self._meta = {
            name: [info.get(name) for info in infos] for name in META if name in infos[0]
        }

    def _decode(self, index: int) -> Tensor:
        try:
            item = self.dataset[index]
        except Exception as error:
            info = self.dataset.get_data_info(index)
            name = info.get('img_path', f'number {index}')
            raise ValueError(f'image {name} could not be loaded: {error}') from error
        inputs = item.get('inputs') if isinstance(item, dict) else None
        if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8:
            got = type(inputs).__name__ if not isinstance(inputs, Tensor) else inputs.dtype
            raise ValueError(
                f'CachedImages keeps uint8 images, the pipeline of its dataset leaves {got}: end '
                "it with dict(type='PackInputs'), and do not normalise before."
            )
        return inputs

    @property
    def pipeline(self) -> Any:
        """The pipeline that made the pixels, None if the dataset has no single one.

        It cannot be set, as the host's ``SwitchRecipeHook`` does, because the pixels would not
        change.
        """
        return getattr(self.dataset, 'pipeline', None)

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        raise ValueError(
            'the pipeline of CachedImages cannot be switched during a training, its images are '
            'decoded already. Take train_pipeline out of the schedule of SwitchRecipeHook and '
            'augment by batch_transforms of StackedDataPreprocessor; or do without CachedImages.'
        )

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of an image.

        Args:
            idx: Its index.
        """
        return self.dataset.get_data_info(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        return self.__getitems__([idx])[0]

    def __getitems__(self, indices: Sequence[int]) -> StackedItems:
        """Return a whole batch; torch's loader asks for it in place of one image after another.

        Args:
            indices: The indices of the images (B,); with ``seeds`` if ``SeededDrawsHook`` is used.

        Returns:
            ``inputs`` (B, C, H, W), ``data_samples`` and ``draw_seeds`` (B,).
        """
        self.full_init()
        if self.device.type != 'cpu' and get_worker_info() is not None:
            raise RuntimeError(
                f'CachedImages on {self.device} is read by the main process alone: set '
                'num_workers=0 and persistent_workers=False in the dataloader.'
            )
        seeds = getattr(indices, 'seeds', None)
        if seeds is None:
            seeds = np.random.randint(0, 2**63 - 1, len(indices), dtype=np.int64)  # noqa: NPY002
        which = torch.as_tensor(list(getattr(indices, 'indices', indices)))
        fields = {} if self.labels is None else {'gt_label': self.labels[which]}  # (B, 1)
        meta = {name: [column[i] for i in which.tolist()] for name, column in self._meta.items()}
        size = tuple(self.pixels.shape[-2:])
        meta['img_shape'] = [size] * len(which)
        batch = {
            'inputs': self.pixels[which.to(self.device)],
            'data_samples': DataSampleBatch(fields, meta, len(which)),
            'draw_seeds': np.asarray(seeds, dtype=np.int64),
        }
        return StackedItems(batch)

    def __repr__(self) -> str:
        kept = f', {tuple(self.pixels.shape)} on {self.device}' if self._fully_initialized else ''
        return f'CachedImages(cache_dir={self.cache_dir}{kept}, of {self.dataset!r})'


def uncached(dataset: Any) -> Any:
    """Return the dataset below the cache, which has the same images in the same order.

    Args:
        dataset: A dataset; one that is no :class:`CachedImages` is returned itself.
    """
    while isinstance(dataset, CachedImages):
        dataset = dataset.dataset
    return dataset


def fingerprint(infos: Sequence[dict], recipe: str) -> str:
    """Return a name that identifies the output of a dataset's pipeline for its files.

    Args:
        infos: The annotation of each image: its file, or its pixels.
        recipe: A description of the pipeline.

    Returns:
        Forty digits, which change if a file is added, removed, renamed or written to.

    Raises:
        ValueError: If an annotation has neither.
    """
    digest = sha256(recipe.encode())
    for index, info in enumerate(infos):
        path = info.get('img_path')
        if path is not None:
            found = os.stat(path)
            digest.update(
                f'{path}\0{found.st_size}\0{found.st_mtime_ns}\n'.encode(errors='surrogateescape')
            )
        elif isinstance(info.get('img'), np.ndarray):
            digest.update(np.ascontiguousarray(info['img']))
        else:
            raise ValueError(
                f'cache_dir of CachedImages needs something to find images again by: number '
                f"{index} has neither an 'img_path' nor a numpy array as 'img' (its annotation "
                f'has {sorted(info)}). Leave cache_dir out.'
            )
    return digest.hexdigest()[:40]


def _labels(infos: Sequence[dict]) -> Tensor | None:
    if 'gt_label' not in infos[0]:
        return None
    if any(np.ndim(info['gt_label']) for info in infos):
        raise ValueError('CachedImages needs one class per image, its dataset has several.')
    return torch.tensor([[int(info['gt_label'])] for info in infos])  # (N, 1)


def _refuse_draws(load: Callable[[], Any]) -> None:
    """Check that a pipeline is not random: each image would keep its first sample for ever."""

    def states() -> tuple:
        name, keys, *rest = np.random.get_state()  # noqa: NPY002 (transforms use this stream)
        return random.getstate(), (name, keys.tobytes(), *rest), torch.get_rng_state().tolist()

    before = states()
    load()
    if states() != before:
        raise ValueError(
            'the pipeline within CachedImages draws random numbers, which would be drawn once for '
            'ever: leave loading and resizing in it and move what is random to batch_transforms '
            'of StackedDataPreprocessor.'
        )
