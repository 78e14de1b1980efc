"""Batches of tuples: a query, an image of the same thing, and images mistaken for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmpretrain.registry import DATA_SAMPLERS
from torch import Tensor
from torch.utils.data import Sampler


@dataclass(frozen=True)
class EpochSample:
    """The samples of an epoch, as indices of the dataset.

    Attributes:
        pairs: Query and positive (Q, 2).
        pool: The images among which negatives are searched (P,).
    """

    pairs: Tensor
    pool: Tensor


def sample_epoch(
    pairs: Tensor, images: int, num_pairs: int, pool_size: int, seed: int
) -> EpochSample:
    """Sample pairs and a pool, both without replacement.

    Args:
        pairs: All pairs (N, 2).
        images: The number of images.
        num_pairs: How many pairs to sample. If there are fewer, all are taken.
        pool_size: How many images to sample. If there are fewer, all are taken.
        seed: The seed. The same seed gives the same result.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(pairs), generator=generator)[:num_pairs]
    pool = torch.randperm(images, generator=generator)[:pool_size]
    return EpochSample(pairs[chosen], pool)


@DATA_SAMPLERS.register_module()
class TupleSampler(Sampler):
    """Sample tuples of 1 query, 1 positive and n negatives, one after another.

    With n = 5 a batch of 35 is five tuples, in the order that ``TupleContrastiveLoss`` expects.
    Pairs and a pool are sampled for each epoch. ``HardNegativeMiningHook`` then finds the
    negatives with the current network. All ranks have the same tuples, and each takes its share.
    If the shares would differ in size, the first tuples are repeated. The seed of an epoch is
    ``seed + epoch``, so a resumed run has the same samples as one that was not interrupted.

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019, section 5.1, and its code.

    Args:
        dataset: A dataset with ``pairs`` (N, 2) and ``get_gt_labels``, such as ``SfM120k``.
        num_pairs: The largest number of pairs in an epoch.
        pool_size: The largest number of images in which negatives are searched.
        num_negatives: How many negatives a tuple has.
        seed: The seed, the same on all ranks. Default: a seed that the ranks agree on.

    Raises:
        ValueError: If the dataset has no pairs, a number is not positive, or the seed no integer.
    """

    def __init__(
        self,
        dataset: Any,
        num_pairs: int = 2000,
        pool_size: int = 22000,
        num_negatives: int = 5,
        seed: int | None = None,
    ) -> None:
        if not len(getattr(dataset, 'pairs', ())):
            raise ValueError(
                f'TupleSampler needs a dataset with pairs, but {type(dataset).__name__} has none: '
                'use SfM120k without wrapper and without lazy_init'
            )
        sizes = {'num_pairs': num_pairs, 'pool_size': pool_size, 'num_negatives': num_negatives}
        for name, value in sizes.items():
            if not value >= 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.pairs = torch.as_tensor(dataset.pairs)
        self.images = len(dataset)
        if int(self.pairs.max()) >= self.images:
            raise ValueError(
                f'the pairs contain the image {int(self.pairs.max())}, but the dataset has '
                f'{self.images} images: do not set its argument indices'
            )
        self.models = torch.as_tensor(dataset.get_gt_labels())
        self.num_pairs = min(num_pairs, len(self.pairs))
        self.pool_size = pool_size
        self.num_negatives = num_negatives
        if not (seed is None or isinstance(seed, Integral)):
            raise ValueError(f'seed must be an integer, got {seed}')
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Sample the pairs and the pool of an epoch; the negatives must then be set.

        Args:
            epoch: The number of the epoch.
        """
        if getattr(self, 'epoch', None) == epoch:
            return
        self.epoch = epoch
        self.epoch_sample = sample_epoch(
            self.pairs, self.images, self.num_pairs, self.pool_size, self.seed + epoch
        )
        self.tuples: Tensor | None = None

    def set_negatives(self, negatives: Tensor) -> None:
        """Complete the tuples of this epoch.

        Args:
            negatives: Indices of the dataset (Q, n), in the order of ``epoch_sample.pairs``.

        Raises:
            ValueError: If the shape is not (Q, n).
        """
        expected = (len(self.epoch_sample.pairs), self.num_negatives)
        if tuple(negatives.shape) != expected:
            raise ValueError(
                f'negatives must have the shape {expected}, got {tuple(negatives.shape)}'
            )
        self.tuples = torch.cat([self.epoch_sample.pairs, negatives.cpu()], dim=1)  # (Q, 2 + n)

    def __iter__(self) -> Iterator[int]:
        """Return the indices of this rank, one tuple after another."""
        if self.tuples is None:
            raise RuntimeError(
                f'the negatives of epoch {self.epoch} are not known: add '
                "dict(type='HardNegativeMiningHook', ...) to custom_hooks"
            )
        rows = torch.arange(math.ceil(len(self.tuples) / self.world_size) * self.world_size)
        of_this_rank = self.tuples[rows[self.rank :: self.world_size] % len(self.tuples)]
        return iter(of_this_rank.flatten().tolist())

    def __len__(self) -> int:
        tuples = math.ceil(self.num_pairs / self.world_size)
        return tuples * (2 + self.num_negatives)

    def __repr__(self) -> str:
        return (
            f'TupleSampler(num_pairs={self.num_pairs}, pool_size={self.pool_size}, '
            f'num_negatives={self.num_negatives}, seed={self.seed})'
        )
