"""Sample batches with a few images of each of many classes, as pair losses need."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from mmpretrain.registry import DATA_SAMPLERS

from ..unfit_data import UnfitDataError
from .class_balanced_sampler import _labels


class _WithoutReplacement:
    """Samples items in random order; each item comes once before any item comes again.

    Args:
        items: The items to sample from.
        generator: The random stream.
    """

    def __init__(self, items: Sequence[int], generator: random.Random) -> None:
        self.items = list(items)
        self.generator = generator
        self.remaining = []

    def sample(self, number: int) -> list[int]:
        """Sample distinct items. Items repeat only if ``number`` is larger than their count.

        Args:
            number: How many items to sample.
        """
        if number > len(self.items):
            extra = self.generator.choices(self.items, k=number - len(self.items))
            return self.sample(len(self.items)) + extra
        if number > len(self.remaining):
            # The last items of this round come first. They are part of the next round as well.
            last, last_set = self.remaining, set(self.remaining)
            fresh = [item for item in self.items if item not in last_set]
            self.generator.shuffle(fresh)
            missing = number - len(last)
            self.remaining = fresh[missing:] + last
            self.generator.shuffle(self.remaining)
            return last + fresh[:missing]
        sampled, self.remaining = self.remaining[:number], self.remaining[number:]
        return sampled


@DATA_SAMPLERS.register_module()
class MPerClassSampler(DefaultSampler):
    """Fill each batch with ``samples_per_class`` images of different classes.

    Each class is sampled once before any class is sampled again, and likewise the images of a
    class. An image comes twice in a batch only if its class has fewer images than the batch
    takes, which is logged. On several ranks, the classes of a batch are distinct over all ranks,
    and each rank takes its share. If there are too few classes for that, they are distinct on
    each rank, and a class on several ranks has different images there. An epoch has as many
    batches as the dataset fills, at least one::

        train_dataloader = dict(
            batch_size=64,
            sampler=dict(type='MPerClassSampler', batch_size=64, samples_per_class=2),
        )

    Args:
        dataset: A dataset with ``get_gt_labels`` or ``get_cat_ids``.
        batch_size: The batch size of the dataloader, for one rank.
        samples_per_class: m. Published recipes with a memory use 2, XBM uses 4.
        infinite: Whether to continue with the next epoch without end, so that an iteration-based
            loop does not have to restart the workers.
        shuffle: Must be True. The argument exists because the dataloaders of configs contain it.
        seed: The seed, the same on all ranks. Default: a seed that the ranks agree on.

    Raises:
        ValueError: If ``shuffle`` is False, or m does not divide the batch size.
        UnfitDataError: If there are fewer classes than the batch of a rank needs.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        samples_per_class: int = 2,
        infinite: bool = False,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        if not shuffle:
            raise ValueError('MPerClassSampler samples at random: shuffle must be True')
        if samples_per_class < 1 or batch_size < 1 or batch_size % samples_per_class:
            raise ValueError(
                f'batch_size ({batch_size}) must be a multiple of samples_per_class '
                f'({samples_per_class}), so that all images of a class are on one rank'
            )
        super().__init__(dataset, shuffle=True, seed=seed)
        self.batch_size = batch_size
        self.samples_per_class = samples_per_class
        self.infinite = infinite
        self.members: dict[int, list[int]] = {}
        for index, label in enumerate(_labels(dataset)):
            self.members.setdefault(label, []).append(index)
        self.classes_per_rank = batch_size // samples_per_class
        if self.classes_per_rank > len(self.members):
            raise UnfitDataError(
                f'batches of {batch_size} with {samples_per_class} per class need '
                f'{self.classes_per_rank} classes, but there are {len(self.members)}: raise '
                'samples_per_class or lower batch_size'
            )
        self.batches = max(len(dataset) // (self.world_size * batch_size), 1)
        self.num_samples = self.batches * batch_size  # of this rank
        self.total_size = self.num_samples * self.world_size
        self._report_small_classes()

    def _report_small_classes(self) -> None:
        ranks_per_class = math.ceil(self.world_size * self.classes_per_rank / len(self.members))
        taken = self.samples_per_class * ranks_per_class
        small = sum(len(indices) < taken for indices in self.members.values())
        if small:
            print_log(
                f'MPerClassSampler: {small} of {len(self.members)} classes have fewer than '
                f'{taken} images; their images come more than once in a batch.',
                logger='current',
            )

    def __iter__(self) -> Iterator[int]:
        """Sample the indices of this rank."""
        for epoch in itertools.count(self.epoch) if self.infinite else [self.epoch]:
            yield from self._sample_epoch(epoch)

    def _sample_epoch(self, epoch: int) -> Iterator[int]:
        generator = random.Random(self.seed + epoch)
        classes = _WithoutReplacement(list(self.members), generator)
        images = {
            label: _WithoutReplacement(indices, generator)
            for label, indices in self.members.items()
        }
        m, share = self.samples_per_class, self.classes_per_rank
        for _ in range(self.batches):
            labels = self._sample_classes(classes)
            # All images of a class are sampled at once, so that no two ranks get the same one.
            number = Counter(labels)
            indices = {label: iter(images[label].sample(m * number[label])) for label in number}
            groups = [list(itertools.islice(indices[label], m)) for label in labels]
            yield from itertools.chain(*groups[self.rank * share : (self.rank + 1) * share])

    def _sample_classes(self, classes: _WithoutReplacement) -> list[int]:
        """Sample the classes of the batch of all ranks, rank after rank."""
        share, number = self.classes_per_rank, self.world_size * self.classes_per_rank
        if number <= len(self.members):
            return classes.sample(number)
        return [label for _ in range(self.world_size) for label in classes.sample(share)]

    def __repr__(self) -> str:
        return (
            f'MPerClassSampler(batch_size={self.batch_size}, '
            f'samples_per_class={self.samples_per_class}, infinite={self.infinite}, '
            f'seed={self.seed})'
        )
