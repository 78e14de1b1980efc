"""Compute fixed stratified splits that depend only on names and a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from hashlib import sha256


def stratified_split(
    keys: Sequence[str], labels: Sequence[Hashable], fraction: float, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Split off a fraction of every class.

    The members of a class are ranked by a hash of their key, so the split is the same with every
    library version and on every machine, and one more file does not reshuffle the others.

    Args:
        keys: One distinct name per sample.
        labels: The class of each sample.
        fraction: The fraction of each class to hold out, within (0, 1). A class of two or more
            samples has at least one on either side. The sample of a class of one is kept.
        seed: The seed of the split.

    Returns:
        Sorted indices of the samples that are kept, and of those that are held out.

    Raises:
        ValueError: If the fraction is out of range, keys repeat, or lengths differ.
    """
    if not 0 < fraction < 1:
        raise ValueError(f'fraction must lie between 0 and 1, got {fraction}')
    if len(keys) != len(labels):
        raise ValueError(f'one label per key is needed, got {len(labels)} for {len(keys)} keys')
    if len(set(keys)) != len(keys):
        raise ValueError('keys must be distinct: they alone decide where a sample goes')
    classes: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    held = set()
    for members in classes.values():
        members.sort(key=lambda i: _rank(keys[i], seed))
        count = len(members)
        # a class of two or more is present on either side
        take = 0 if count == 1 else min(max(round(count * fraction), 1), count - 1)
        held.update(members[:take])
    return [i for i in range(len(keys)) if i not in held], sorted(held)


def grouped_split(
    keys: Sequence[str],
    labels: Sequence[Hashable],
    groups: Sequence[str],
    fraction: float,
    seed: int = 0,
) -> tuple[list[int], list[int]]:
    """Split off a fraction of every class, as closely as whole groups allow.

    Groups are visited in the order of a hash of their name. A group is held out if that brings
    the counts of the classes nearer to the fraction. A class of two or more groups is present on
    either side if the other classes of these groups allow it.

    Args:
        keys: One distinct name per sample.
        labels: The class of each sample.
        groups: The group of each sample, for example the object or the patient that it shows.
        fraction: The fraction of each class to hold out, within (0, 1).
        seed: The seed of the split.

    Returns:
        Sorted indices of the samples that are kept, and of those that are held out. No group is
        in both.

    Raises:
        ValueError: If the fraction is out of range, lengths differ, or there is only one group.
    """
    if not 0 < fraction < 1:
        raise ValueError(f'fraction must lie between 0 and 1, got {fraction}')
    if not len(keys) == len(labels) == len(groups):
        raise ValueError('one label and one group per key are needed')
    members: dict[str, Counter] = {}
    for label, group in zip(labels, groups, strict=True):
        members.setdefault(group, Counter())[label] += 1
    if len(members) < 2:
        raise ValueError(f'all images are of the group {groups[0]!r}: two or more are needed')
    side = _HeldOut(members, Counter(labels), fraction)
    order = sorted(members, key=lambda name: _rank(name, seed))
    for group in order:
        if side.gain(group) > 0 and side.spares(group):
            side.add(group)
    for label in side.total:
        possible = [g for g in order if label in members[g] and side.spares(g)]
        if possible and not side.counts[label]:
            side.add(min(possible, key=lambda g: members[g].total()))
    sides = [group in side.groups for group in groups]
    return (
        [i for i, out in enumerate(sides) if not out],
        [i for i, out in enumerate(sides) if out],
    )


def grouped_folds(
    labels: Sequence[Hashable], groups: Sequence[str], num_splits: int, seed: int = 0
) -> list[int]:
    """Cut samples into folds of whole groups, in each of which the classes have similar shares.

    The largest groups are placed first, each where it raises the sum of the squared shares of its
    classes the least, and among equal folds into the smallest. Groups of one size are visited in
    the order of a hash of their name.

    Args:
        labels: The class of each sample.
        groups: The group of each sample.
        num_splits: Number of folds.
        seed: The seed of the order.

    Returns:
        The fold of each sample, from 0. No fold is empty.

    Raises:
        ValueError: If there are fewer groups than folds, or lengths differ.
    """
    total = Counter(labels)
    members: dict[str, Counter] = {}
    for label, group in zip(labels, groups, strict=True):
        members.setdefault(group, Counter())[label] += 1
    if len(members) < num_splits:
        raise ValueError(
            f'{num_splits} folds need as many groups, and there are {len(members)}: lower '
            '--num-splits'
        )
    folds = [Counter() for _ in range(num_splits)]
    place = {}
    for group in sorted(members, key=lambda name: (-members[name].total(), _rank(name, seed))):
        added = members[group]

        def cost(fold: int, added: Counter = added) -> tuple[float, int]:
            held = folds[fold]
            rise = sum(
                ((held[c] + n) ** 2 - held[c] ** 2) / total[c] ** 2 for c, n in added.items()
            )
            return rise, held.total()

        place[group] = min(range(num_splits), key=cost)
        folds[place[group]].update(added)
    return [place[group] for group in groups]


class _HeldOut:
    """The groups that are held out so far."""

    def __init__(self, members: dict[str, Counter], total: Counter, fraction: float) -> None:
        self.members, self.total, self.fraction = members, total, fraction
        self.groups: set[str] = set()
        self.counts: Counter = Counter()

    def add(self, group: str) -> None:
        self.groups.add(group)
        self.counts.update(self.members[group])

    def spares(self, group: str) -> bool:
        """Return whether each class keeps a sample if this group is held out as well."""
        items = self.members[group].items()
        return all(self.counts[label] + n < self.total[label] for label, n in items)

    def gain(self, group: str) -> float:
        """Return by how much this group brings the counts nearer to the fraction."""
        lacking = {c: self.total[c] * self.fraction - self.counts[c] for c in self.members[group]}
        return sum(abs(lacking[c]) - abs(lacking[c] - n) for c, n in self.members[group].items())


def _rank(name: str, seed: int) -> bytes:
    return sha256(f'{seed}/{name}'.encode(errors='surrogateescape')).digest()


def hold_out_classes(
    classes: Sequence[str], share: float | int, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Split off whole classes, because retrieval is tested on classes that training never sees.

    Classes are ranked by a hash of their name, as samples are in :func:`stratified_split`.

    Args:
        classes: The names of the classes.
        share: How many classes to hold out: a fraction within (0, 1), or a number.
        seed: The seed of the split.

    Returns:
        Sorted names of the classes that are kept, and of those that are held out. There is at
        least one of either.

    Raises:
        ValueError: If the share is out of range or leaves no class, or if names repeat.
    """
    count = len(classes)
    if len(set(classes)) != count:
        raise ValueError('class names must be distinct: they alone decide where a class goes')
    if count < 2:
        raise ValueError(
            f'at least 2 classes are needed to hold one out and to keep one, got {count}'
        )
    if isinstance(share, float):
        if not 0 < share < 1:
            raise ValueError(f'a fraction of the classes must lie between 0 and 1, got {share}')
        share = min(max(round(count * share), 1), count - 1)
    if not 0 < share < count:
        raise ValueError(
            f'of {count} classes, {share} cannot be held out: give a number from 1 to {count - 1}'
        )
    ranked = sorted(classes, key=lambda name: _rank(name, seed))
    return sorted(ranked[share:]), sorted(ranked[:share])
