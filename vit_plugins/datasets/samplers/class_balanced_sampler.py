"""Sample rare classes as often as common ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import DATA_SAMPLERS
from torch import Tensor


def sample_weights(labels: Sequence[int], power: float = 1.0) -> Tensor:
    """Compute a weight of each sample by how rare its class is.

    Args:
        labels: The class of each of N samples.
        power: 1: each class is drawn equally often; 0: each sample is.

    Returns:
        Weights (N,), n_c^-power for a sample of a class with n_c samples, summing to 1.
    """
    labels = torch.as_tensor(labels)
    weights = labels.bincount().double().pow(-power)[labels]  # (N,)
    return weights / weights.sum()


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(DefaultSampler):
    """Sample with replacement, each class equally often; an epoch keeps its length.

    The host's ``ClassBalancedDataset`` rounds the repeats of a class up: of 100 and 95 images the
    smaller class would be drawn twice as often. Works on any number of ranks: all draw the same
    sequence and each takes its share.

    Args:
        dataset: A dataset with ``get_gt_labels`` or ``get_cat_ids``.
        power: 1: classes are sampled equally often; 0: samples are; values between mix the two.
        shuffle: Only True, as the dataloaders of configs say; there is no order to keep.
        seed: The seed, the same on all ranks. Default: one that the ranks agree on.
        round_up: As for ``DefaultSampler``.

    Raises:
        ValueError: If ``shuffle`` is False, or ``power`` not within [0, 1].
    """

    def __init__(
        self, dataset: Any, power: float = 1.0, shuffle: bool = True, **kwargs: Any
    ) -> None:
        if not shuffle:
            raise ValueError('ClassBalancedSampler draws at random: shuffle must be True')
        if not 0 <= power <= 1:
            raise ValueError(f'power must lie between 0 and 1, got {power}')
        super().__init__(dataset, shuffle=True, **kwargs)
        self.power = power
        self.weights = sample_weights(_labels(dataset), power)

    def __iter__(self) -> Iterator[int]:
        """Sample the indices of this rank."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        drawn = self.weights.multinomial(self.total_size, replacement=True, generator=generator)
        return iter(drawn[self.rank : self.total_size : self.world_size].tolist())

    def __repr__(self) -> str:
        return f'ClassBalancedSampler(power={self.power}, seed={self.seed})'


def _labels(dataset: Any) -> list[int]:
    if hasattr(dataset, 'get_gt_labels'):
        return dataset.get_gt_labels().tolist()
    return [dataset.get_cat_ids(i)[0] for i in range(len(dataset))]
