"""Change valid files a little, like damage or an attack."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence

EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63,
    2**64 - 1,
)
MOST_CHANGES = 4


def mutate(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a file with one to four changes.

    Args:
        content: A valid file.
        rng: The random stream.
        others: Files from which pieces may be copied.
    """
    changed = bytearray(content)
    for _ in range(rng.randint(1, MOST_CHANGES)):
        rng.choice(CHANGES)(changed, rng, others)
    return bytes(changed)


def mutate_archive(content: bytes, rng: random.Random) -> bytes:
    """Return a zip archive with changes in one member and a checksum of the new content.

    Args:
        content: A valid archive.
        rng: The random stream.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    weights = [len(inner) ** 0.5 + 1 for _, inner in members]
    (chosen,) = rng.choices(range(len(members)), weights)
    written = io.BytesIO()
    with zipfile.ZipFile(written, 'w') as archive:
        for number, (info, inner) in enumerate(members):
            archive.writestr(info, mutate(inner, rng) if number == chosen else inner)
    return written.getvalue()


def _flip(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _overwrite(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    place = rng.randrange(len(content) + 1)
    run = rng.choice((rng.randbytes, lambda n: bytes(n), lambda n: b'\xff' * n))
    size = rng.randint(1, 8)
    content[place : place + size] = run(size)


def _set_number(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(EXTREMES) % 256**size
    place = rng.randrange(len(content) + 1)
    content[place : place + size] = number.to_bytes(size, rng.choice(('little', 'big')))


def _cut(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _remove(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    place = rng.randrange(len(content) + 1)
    del content[place : place + rng.randint(1, 16)]


def _repeat(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start = rng.randrange(len(content) + 1)
    part = content[start : start + rng.randint(1, 64)]
    place = rng.randrange(len(content) + 1)
    content[place:place] = part * rng.choice((1, 1, 2, 50))


def _splice(content: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others) if others else content
    start, place = rng.randrange(len(other) + 1), rng.randrange(len(content) + 1)
    content[place : place + rng.randint(0, 64)] = other[start : start + rng.randint(1, 64)]


# After a cut little can go wrong, so most changes are of other types.
CHANGES = (_flip, _flip, _overwrite, _set_number, _set_number, _cut, _remove, _repeat, _splice)
