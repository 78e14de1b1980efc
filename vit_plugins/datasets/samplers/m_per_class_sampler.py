"""Batches of a few images each of many classes, as losses of pairs need them."""

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


class Deck:
    """Deals cards in random order; each comes once before any comes again.

    Args:
        cards: What to deal.
        generator: The random stream.
    """

    def __init__(self, cards: Sequence[int], generator: random.Random) -> None:
        self.cards = list(cards)
        self.generator = generator
        self.left = []

    def deal(self, number: int) -> list[int]:
        """Deal distinct cards; more than there are come with repeats.

        Args:
            number: How many.
        """
        if number > len(self.cards):
            extra = self.generator.choices(self.cards, k=number - len(self.cards))
            return self.deal(len(self.cards)) + extra
        if number > len(self.left):
            # The last ones of the old deck come first, and go back into the new one.
            hand, held = self.left, set(self.left)
            fresh = [card for card in self.cards if card not in held]
            self.generator.shuffle(fresh)
            needed = number - len(hand)
            self.left = fresh[needed:] + hand
            self.generator.shuffle(self.left)
            return hand + fresh[:needed]
        hand, self.left = self.left[:number], self.left[number:]
        return hand


@DATA_SAMPLERS.register_module()
class MPerClassSampler(DefaultSampler):
    """Fill each batch with ``samples_per_class`` images of different classes.

    Classes are drawn equally often, each once before any again; so are the images of a class. An
    image comes twice in a batch only where its class has fewer images than the batch takes, which
    is reported. On several ranks the classes of a batch are distinct over all ranks, and each
    takes its share; if there are too few for that, they are distinct on each rank, and a class
    that several ranks have comes with different images. An epoch has as many batches as the data
    set fills, at least one::

        train_dataloader = dict(
            batch_size=64,
            sampler=dict(type='MPerClassSampler', batch_size=64, samples_per_class=2),
        )

    Args:
        dataset: A data set with ``get_gt_labels`` or ``get_cat_ids``.
        batch_size: That of the dataloader, of one rank.
        samples_per_class: m. Published recipes with a memory: 2; 4 for XBM.
        infinite: Go on without end, epoch after epoch: an iteration-based loop need not start
            the workers anew.
        shuffle: Only True, as the dataloaders of configs say; there is no order to keep.
        seed: The seed, the same on all ranks. Default: one that the ranks agree on.

    Raises:
        ValueError: If ``shuffle`` is False or m does not divide the batch.
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
            raise ValueError('MPerClassSampler draws at random: shuffle must be True')
        if samples_per_class < 1 or batch_size < 1 or batch_size % samples_per_class:
            raise ValueError(
                f'batch_size ({batch_size}) must be a multiple of samples_per_class '
                f'({samples_per_class}), so that classes are whole on a rank'
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
                f'{self.classes_per_rank} classes, there are {len(self.members)}: raise '
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
                f'{taken} images; theirs come more than once in a batch.',
                logger='current',
            )

    def __iter__(self) -> Iterator[int]:
        """Draw the indices of this rank."""
        for epoch in itertools.count(self.epoch) if self.infinite else [self.epoch]:
            yield from self._draw(epoch)

    def _draw(self, epoch: int) -> Iterator[int]:
        generator = random.Random(self.seed + epoch)
        classes = Deck(list(self.members), generator)
        images = {label: Deck(indices, generator) for label, indices in self.members.items()}
        m, share = self.samples_per_class, self.classes_per_rank
        for _ in range(self.batches):
            drawn = self._deal_classes(classes)
            # All images of a class at once, so that no two ranks get the same one.
            number = Counter(drawn)
            hands = {label: iter(images[label].deal(m * number[label])) for label in number}
            groups = [list(itertools.islice(hands[label], m)) for label in drawn]
            yield from itertools.chain(*groups[self.rank * share : (self.rank + 1) * share])

    def _deal_classes(self, classes: Deck) -> list[int]:
        """Deal the classes of the batch of all ranks, rank after rank."""
        share, number = self.classes_per_rank, self.world_size * self.classes_per_rank
        if number <= len(self.members):
            return classes.deal(number)
        return [label for _ in range(self.world_size) for label in classes.deal(share)]

    def __repr__(self) -> str:
        return (
            f'MPerClassSampler(batch_size={self.batch_size}, '
            f'samples_per_class={self.samples_per_class}, infinite={self.infinite}, '
            f'seed={self.seed})'
        )
