"""Batches that carry the random seeds of their images."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, IterableDataset, Sampler, SequentialSampler

from ..seeds import image_seeds, seed_streams

# The indices of a batch, and the numbers on which their draws depend besides the seed.
Keyed = tuple[list[int], list[tuple[int, ...]]]
# They give an image to one rank at most in an epoch, so that the rank need not tell copies apart.
_ONCE_PER_EPOCH = (DefaultSampler, InfiniteSampler, SequentialSampler)


def never_ends(sampler: Any) -> bool:
    """Return whether a sampler goes on epoch after epoch, with batches across their borders.

    Args:
        sampler: A sampler of the host or of ours.
    """
    return isinstance(sampler, InfiniteSampler) or getattr(sampler, 'infinite', False)


class SeededBatch(Sequence):
    """The indices of a batch; going over them sets the random streams for each image.

    A dataloader fetches ``[dataset[index] for index in batch]``, in this process or in a worker,
    and so each image is loaded with streams of its own, whatever the dataset is wrapped into.

    Args:
        indices: The indices (B,).
        seeds: The seeds of their draws (B,).
    """

    def __init__(self, indices: Sequence[int], seeds: Sequence[int]) -> None:
        self.indices = list(indices)
        self.seeds = list(seeds)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> int:
        return self.indices[place]

    def __iter__(self) -> Iterator[int]:
        for index, seed in zip(self.indices, self.seeds, strict=True):
            seed_streams(seed)
            yield index


class SeededBatches(Sampler):
    """A batch sampler whose images draw by (seed, epoch, index), from any batch on.

    An image that comes more than once in an epoch (repeated augmentation, balanced classes) draws
    anew each time. Where the sampler never ends there is no epoch, and the place in what it gives
    stands for it.

    Args:
        batches: The batch sampler.
        seed: The seed of the run.
    """

    def __init__(self, batches: Any, seed: int) -> None:
        self.batches = batches
        self.sampler = getattr(batches, 'sampler', None)
        self.seed = seed
        self.rank, self.world_size = get_dist_info()
        self.never_ends = never_ends(self.sampler)
        self.seek(0)

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Choose the batch where the next iteration begins; later ones begin at the first batch.

        Args:
            epoch: The epoch; 0 if the sampler never ends.
            batch: The batch in it, from 0.
        """
        self.epoch = epoch
        self.first = batch

    def seek_step(self, step: int) -> None:
        """Choose the batch of a step of a training that counts no epochs.

        Args:
            step: The steps done before.
        """
        self.seek(*((0, step) if self.never_ends else divmod(step, len(self))))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        first, self.first = self.first, 0
        self._rewind()
        keyed = self._by_place() if self.never_ends else self._by_epoch()
        for indices, keys in itertools.islice(keyed, first, None):
            # the columns: epochs (or places), indices and, if need be, copies
            seeds = image_seeds(
                self.seed, *(np.array(column) for column in zip(*keys, strict=True))
            )
            yield SeededBatch(indices, seeds.tolist())

    def _rewind(self) -> None:
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(self.epoch)
        if isinstance(self.sampler, InfiniteSampler):
            # It would go on where its last iterator stopped, the batches fetched ahead included.
            self.sampler.indices = self.sampler._indices_of_rank()

    def _by_place(self) -> Iterator[Keyed]:
        place = self.rank
        for indices in self.batches:
            places = range(place, place + len(indices) * self.world_size, self.world_size)
            yield indices, list(zip(places, indices, strict=True))
            place = places.stop

    def _by_epoch(self) -> Iterator[Keyed]:
        if type(self.sampler) in _ONCE_PER_EPOCH:
            for indices in self.batches:
                yield indices, [(self.epoch, index) for index in indices]
            return
        copies = collections.Counter()
        for indices in self.batches:
            keys = []
            for index in indices:
                copy = copies[index] * self.world_size + self.rank
                keys.append((self.epoch, index, copy))
                copies[index] += 1
            yield indices, keys


def seed_batches(loader: DataLoader, seed: int) -> SeededBatches:
    """Make a dataloader set the random streams for each image.

    Its dataset, sampler and workers do not change.

    Args:
        loader: The dataloader; edited.
        seed: The seed of the run.

    Returns:
        Its batch sampler, which can begin anywhere.

    Raises:
        TypeError: If the dataloader has no batch sampler or an iterable dataset.
    """
    if not isinstance(loader.batch_sampler, SeededBatches):
        if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
            raise TypeError(
                f'the images of {type(loader.dataset).__name__} are not fetched by an index in '
                'batches, so their draws cannot be seeded one by one: set batch_size in the '
                'dataloader and use a dataset with __getitem__, or switch SeededDrawsHook off by '
                'default_hooks.seeded_draws=None'
            )
        # torch refuses a plain assignment, as its iterators keep what they began with: those
        # that were begun are dropped.
        object.__setattr__(loader, 'batch_sampler', SeededBatches(loader.batch_sampler, seed))
        loader._iterator = None
    loader.batch_sampler.seed = seed
    return loader.batch_sampler
