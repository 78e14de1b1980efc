"""Sample rare classes as often as common ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS
from torch import Tensor


def sample_weights(labels: Sequence[int], power: float = 1.0) -> Tensor:
    """Compute a weight for each sample that is higher the rarer its class is.

    Args:
        labels: The class of each of N samples.
        power: With 1 all classes are sampled equally often, with 0 all samples.

    Returns:
        Weights (N,) that sum to 1, proportional to n_c^-power for a sample of a class with n_c
        samples.
    """
    labels = torch.as_tensor(labels)
    weights = labels.bincount().double().pow(-power)[labels]  # (N,)
    return weights / weights.sum()


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(DefaultSampler):
    """Sample with replacement, so that all classes are equally frequent.

    An epoch keeps its length. The host's ``ClassBalancedDataset`` rounds the repeats of a class
    up: of two classes with 100 and 95 images, it would sample the images of the smaller class
    twice as often. On several ranks, all ranks sample the same sequence and each takes its share.

    Args:
        dataset: A dataset with ``get_gt_labels`` or ``get_cat_ids``.
        power: With 1 all classes are sampled equally often, with 0 all samples. Values between
            mix the two.
        shuffle: Must be True. The argument exists because the dataloaders of configs contain it.
        seed: The seed, the same on all ranks. Default: a seed that the ranks agree on.
        round_up: As for ``DefaultSampler``.

    Raises:
        ValueError: If ``shuffle`` is False, or ``power`` is not within [0, 1].
    """

    def __init__(
        self, dataset: Any, power: float = 1.0, shuffle: bool = True, **kwargs: Any
    ) -> None:
        if not shuffle:
            raise ValueError('ClassBalancedSampler samples at random: shuffle must be True')
        if not 0 <= power <= 1:
            raise ValueError(f'power must lie between 0 and 1, got {power}')
        super().__init__(dataset, shuffle=True, **kwargs)
        self.power = power
        self.weights = sample_weights(_labels(dataset), power)

    def __iter__(self) -> Iterator[int]:
        """Sample the indices of this rank."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        indices = self.weights.multinomial(self.total_size, replacement=True, generator=generator)
        return iter(indices[self.rank : self.total_size : self.world_size].tolist())

    def __repr__(self) -> str:
        return f'ClassBalancedSampler(power={self.power}, seed={self.seed})'


def _labels(dataset: Any) -> list[int]:
    if hasattr(dataset, 'get_gt_labels'):
        return dataset.get_gt_labels().tolist()
    return [dataset.get_cat_ids(i)[0] for i in range(len(dataset))]
