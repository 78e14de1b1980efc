"""Batches that contain the random seeds of their images."""

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

# The indices of a batch, and for each the numbers from which its seed follows.
Keyed = tuple[list[int], list[tuple[int, ...]]]
# With these samplers an image comes at most once in an epoch, so no copies have to be counted.
_ONCE_PER_EPOCH = (DefaultSampler, InfiniteSampler, SequentialSampler)


def never_ends(sampler: Any) -> bool:
    """Return whether a sampler continues with the next epoch without end, within a batch.

    Args:
        sampler: A sampler of the host or of ours.
    """
    return isinstance(sampler, InfiniteSampler) or getattr(sampler, 'infinite', False)


class SeededBatch(Sequence):
    """The indices of a batch; iterating over them sets the random streams for each image.

    A dataloader fetches ``[dataset[index] for index in batch]``, in this process or in a worker.
    Each image is therefore loaded with its own random streams, whatever wrappers the dataset has.

    Args:
        indices: The indices (B,).
        seeds: The seed of each image (B,).
    """

    def __init__(self, indices: Sequence[int], seeds: Sequence[int]) -> None:
        self.indices = list(indices)
        self.seeds = list(seeds)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> int:
        return self.indices[position]

    def __iter__(self) -> Iterator[int]:
        for index, seed in zip(self.indices, self.seeds, strict=True):
            seed_streams(seed)
            yield index


class SeededBatches(Sampler):
    """A batch sampler that seeds each image by (seed, epoch, index) and can begin at any batch.

    If an image comes more than once in an epoch (repeated augmentation, balanced classes), each
    copy has its own seed. A sampler that never ends has no epochs; the position of the image in
    its sequence is used instead.

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
        """Set the batch where the next iteration begins; later ones begin at the first batch.

        Args:
            epoch: The epoch; 0 if the sampler never ends.
            batch: The batch in the epoch, from 0.
        """
        self.epoch = epoch
        self.first = batch

    def seek_step(self, step: int) -> None:
        """Set the batch where the next iteration begins, for a training that counts steps only.

        Args:
            step: How many steps were done before.
        """
        self.seek(*((0, step) if self.never_ends else divmod(step, len(self))))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        first, self.first = self.first, 0
        self._rewind()
        keyed = self._by_position() if self.never_ends else self._by_epoch()
        for indices, keys in itertools.islice(keyed, first, None):
            # the columns are epochs (or positions), indices and possibly copies
            seeds = image_seeds(
                self.seed, *(np.array(column) for column in zip(*keys, strict=True))
            )
            yield SeededBatch(indices, seeds.tolist())

    def _rewind(self) -> None:
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(self.epoch)
        if isinstance(self.sampler, InfiniteSampler):
            # It would continue after the last batch that was fetched, even if it was not used.
            self.sampler.indices = self.sampler._indices_of_rank()

    def _by_position(self) -> Iterator[Keyed]:
        start = self.rank
        for indices in self.batches:
            positions = range(start, start + len(indices) * self.world_size, self.world_size)
            yield indices, list(zip(positions, indices, strict=True))
            start = positions.stop

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
        loader: The dataloader; its batch sampler is replaced.
        seed: The seed of the run.

    Returns:
        The new batch sampler, which can begin at any batch.

    Raises:
        TypeError: If the dataloader has no batch sampler or an iterable dataset.
    """
    if not isinstance(loader.batch_sampler, SeededBatches):
        if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
            raise TypeError(
                f'the images of {type(loader.dataset).__name__} are not fetched by their index in '
                'batches, so they cannot be seeded one by one: set batch_size in the dataloader '
                'and use a dataset with __getitem__, or switch SeededDrawsHook off with '
                'default_hooks.seeded_draws=None'
            )
        # torch forbids the plain assignment, because existing iterators would not follow it;
        # therefore the existing iterator is dropped.
        object.__setattr__(loader, 'batch_sampler', SeededBatches(loader.batch_sampler, seed))
        loader._iterator = None
    loader.batch_sampler.seed = seed
    return loader.batch_sampler
