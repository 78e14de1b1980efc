"""Describe the content of a folder of class folders, and how it is used."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..datasets.folder_parts import find_parts, find_unlabelled
from ..datasets.folder_scan import FolderScan
from ..fileio.printable_text import listed


def describe(
    scans: dict[str, FolderScan],
    counts: list[int],
    val_fraction: float,
    seed: int,
    balance: str,
    *,
    validate: bool = True,
) -> Iterator[str]:
    """Return the lines that describe the content of the folder and how it is used.

    Args:
        scans: The content of each part.
        counts: The number of training images of each class.
        val_fraction: The fraction that is split off.
        seed: The seed of the split.
        balance: How rare classes are weighted.
        validate: Whether there is a validation.
    """
    train = scans['train']
    yield (
        f'{len(train.classes)} classes in {train.root}: '
        + listed([f'{c} ({n})' for c, n in zip(train.classes, counts, strict=True)], most=20)
    )
    total = sum(counts)
    if not validate:
        unused = f'; the {len(scans["val"].samples)} of val are not used' if 'val' in scans else ''
        yield f'training on {total} images, none held out for a validation{unused}'
    elif 'val' in scans:
        yield f'training on {total} images, validation on {len(scans["val"].samples)} of val'
    else:
        yield (
            f'training on {total} images, validation on the {len(train.samples) - total} others '
            f'({val_fraction:.0%} of each class, split off by seed {seed})'
            + (f', whole groups of {len(set(train.groups))}' if train.groups else '')
        )
        single = [c for c, n in zip(train.classes, train.counts(), strict=True) if n == 1]
        if single:
            yield f'with one image, hence in training only: {", ".join(single)}'
    if 'test' in scans:
        yield f'test on {len(scans["test"].samples)} images of test, used for nothing else'
    elif val_fraction > 0 or 'val' in scans:
        yield 'no test folder: test means the validation images'
    else:
        yield 'no test folder and no validation images: there is nothing to test on'
    if max(counts) > 5 * min(counts) and balance == 'none':
        yield (
            f'the largest class has {max(counts)} images and the smallest {min(counts)}: '
            "balance='sampler' or balance='loss' gives rare classes more weight"
        )


def describe_parts(
    root: Path, scans: dict[str, FolderScan], classes: Sequence[str]
) -> Iterator[str]:
    """Return a line for each part that has no labels or lacks classes.

    Args:
        root: The folder.
        scans: The content of each part that is used.
        classes: The classes of the model.
    """
    by_table = 'labels' in scans['train'].source
    every = {'train': root} if by_table else {**find_parts(root), **find_unlabelled(root)}
    for part, folder in every.items():
        if part not in scans:
            yield (
                f'{folder} holds no folders of the classes, so its images have no labels: it is '
                f'not used for {part}. To name what is on them: tools/predict.py WORK_DIR '
                f'{shlex.quote(str(folder))}'
            )
            continue
        missing = sorted(set(classes) - set(scans[part].classes))
        if missing:
            more = f' and {len(missing) - 10} more' if len(missing) > 10 else ''
            yield (
                f'{scans[part].root} has no image of {", ".join(missing[:10])}{more}: it says '
                'nothing about these classes, and their F1 counts as 0 in a mean'
            )
