"""Fixed stratified splits that depend on nothing but names and a seed."""

from __future__ import annotations

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
        fraction: The part of each class to hold out, within (0, 1). A class of two or more gives
            at least one sample to either side; a class of one gives none to the held-out side.
        seed: Another seed is another split.

    Returns:
        Sorted indices: those kept, and those held out.

    Raises:
        ValueError: If the fraction is out of range, keys repeat or lengths differ.
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
        members.sort(
            key=lambda i: sha256(f'{seed}/{keys[i]}'.encode(errors='surrogateescape')).digest()
        )
        count = len(members)
        # a class of two or more is present on either side
        take = 0 if count == 1 else min(max(round(count * fraction), 1), count - 1)
        held.update(members[:take])
    return [i for i in range(len(keys)) if i not in held], sorted(held)


def hold_out_classes(
    classes: Sequence[str], share: float | int, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Split off whole classes, as retrieval is tested on classes never trained on.

    Classes are ranked by a hash of their name, as samples are by :func:`stratified_split`.

    Args:
        classes: Their names.
        share: How many to hold out: a fraction within (0, 1), or a number.
        seed: Another seed is another split.

    Returns:
        Sorted names: those kept, and those held out; at least one of either.

    Raises:
        ValueError: If the share is out of range or leaves no class, or names repeat.
    """
    count = len(classes)
    if len(set(classes)) != count:
        raise ValueError('class names must be distinct: they alone decide where a class goes')
    if count < 2:
        raise ValueError(
            f'one of {count} class(es) cannot be held out with some left: more are needed'
        )
    if isinstance(share, float):
        if not 0 < share < 1:
            raise ValueError(f'a fraction of the classes must lie between 0 and 1, got {share}')
        share = min(max(round(count * share), 1), count - 1)
    if not 0 < share < count:
        raise ValueError(
            f'of {count} classes, {share} cannot be held out: give a number from 1 to {count - 1}'
        )
    ranked = sorted(
        classes,
        key=lambda name: sha256(f'{seed}/{name}'.encode(errors='surrogateescape')).digest(),
    )
    return sorted(ranked[share:]), sorted(ranked[:share])
