"""Count the validation photos that look almost like a training photo."""

from __future__ import annotations

from collections.abc import Iterator

from ..datasets.folder_scan import FolderScan
from ..datasets.near_duplicates import near_pairs
from ..fileio.printable_text import printable

MOST = 20_000  # photos: each one has to be decoded
SHOWN = 3


def describe_near_duplicates(
    scans: dict[str, FolderScan], val_fraction: float, seed: int
) -> Iterator[str]:
    """Return a note on validation photos that look almost like a training photo.

    Args:
        scans: The content of each part.
        val_fraction: The fraction that is split off if there is no validation part.
        seed: The seed of the split.
    """
    train = scans['train']
    if 'val' in scans:
        val, kept = scans['val'], range(len(train.samples))
        held = range(len(val.samples))
    elif val_fraction > 0:
        val, kept = train, train.part('train', val_fraction, seed)
        held = train.part('val', val_fraction, seed)
    else:
        return
    if len(kept) + len(held) > MOST:
        yield f'more than {MOST:,} photos: they are not searched for near-duplicates'
        return
    ours = [val.root / val.samples[i][0] for i in held]
    theirs = [train.root / train.samples[i][0] for i in kept]
    pairs = near_pairs(ours, theirs)
    if not pairs:
        return
    shown = ', '.join(
        f'{printable(val.samples[held[i]][0])} like {printable(train.samples[kept[j]][0])}'
        for i, j in pairs[:SHOWN]
    )
    advice = (
        'move these photos to one side'
        if 'val' in scans
        else '--group-by REGEX|FILE.csv keeps photos of one object on one side'
    )
    yield (
        f'{len(pairs)} of {len(held)} validation photos look nearly like one that is trained on '
        f'({shown}): the accuracy may be flattered; {advice}'
    )
