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
class EpochDraw:
    """The samples of an epoch, as indices of the dataset.

    Attributes:
        pairs: Query and positive (Q, 2).
        pool: The images among which negatives are looked for (P,).
    """

    pairs: Tensor
    pool: Tensor


def draw_epoch(pairs: Tensor, images: int, num_pairs: int, pool_size: int, seed: int) -> EpochDraw:
    """Sample pairs and a pool, both without replacement.

    Args:
        pairs: All pairs (N, 2).
        images: The number of images.
        num_pairs: How many pairs to draw, all if there are fewer.
        pool_size: How many images to draw, all if there are fewer.
        seed: The same seed draws the same.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(pairs), generator=generator)[:num_pairs]
    pool = torch.randperm(images, generator=generator)[:pool_size]
    return EpochDraw(pairs[chosen], pool)


@DATA_SAMPLERS.register_module()
class TupleSampler(Sampler):
    """Sample tuples of 1 query, 1 positive and n negatives, one after another.

    With n = 5 a batch of 35 is five tuples, in the order that ``TupleContrastiveLoss`` expects.
    Each epoch has pairs and a pool of its own; ``HardNegativeMiningHook`` then finds the
    negatives with the current network. All ranks hold the same tuples and each gives its share;
    where they do not divide, the first are given again. The seed of an epoch is
    ``seed + epoch``: a resumed run draws what the interrupted one would have drawn.

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019, section 5.1, and its code.

    Args:
        dataset: A dataset with ``pairs`` (N, 2) and ``get_gt_labels``, such as ``SfM120k``.
        num_pairs: How many pairs make up an epoch, at most.
        pool_size: In how many images to look for negatives, at most.
        num_negatives: How many negatives a tuple has.
        seed: The seed, the same on all ranks. Default: one that the ranks agree on.

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
                f'TupleSampler needs a dataset with pairs, {type(dataset).__name__} has none: '
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
                f'the pairs name image {int(self.pairs.max())}, the dataset has {self.images}: '
                'leave its indices unset'
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
        """Sample pairs and pool of an epoch; its negatives have then to be found.

        Args:
            epoch: The number of the epoch.
        """
        if getattr(self, 'epoch', None) == epoch:
            return
        self.epoch = epoch
        self.draw = draw_epoch(
            self.pairs, self.images, self.num_pairs, self.pool_size, self.seed + epoch
        )
        self.tuples: Tensor | None = None

    def set_negatives(self, negatives: Tensor) -> None:
        """Complete the tuples of this epoch.

        Args:
            negatives: Indices of the dataset (Q, n), in the order of ``draw.pairs``.

        Raises:
            ValueError: If the shape is another one.
        """
        expected = (len(self.draw.pairs), self.num_negatives)
        if tuple(negatives.shape) != expected:
            raise ValueError(f'negatives must be {expected}, got {tuple(negatives.shape)}')
        self.tuples = torch.cat([self.draw.pairs, negatives.cpu()], dim=1)  # (Q, 2 + n)

    def __iter__(self) -> Iterator[int]:
        """Return the indices of this rank, one tuple after another."""
        if self.tuples is None:
            raise RuntimeError(
                f'the negatives of epoch {self.epoch} are not known: put '
                "dict(type='HardNegativeMiningHook', ...) into custom_hooks"
            )
        places = torch.arange(math.ceil(len(self.tuples) / self.world_size) * self.world_size)
        mine = self.tuples[places[self.rank :: self.world_size] % len(self.tuples)]
        return iter(mine.flatten().tolist())

    def __len__(self) -> int:
        tuples = math.ceil(self.num_pairs / self.world_size)
        return tuples * (2 + self.num_negatives)

    def __repr__(self) -> str:
        return (
            f'TupleSampler(num_pairs={self.num_pairs}, pool_size={self.pool_size}, '
            f'num_negatives={self.num_negatives}, seed={self.seed})'
        )
