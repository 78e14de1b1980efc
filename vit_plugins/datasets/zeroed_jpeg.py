"""Find JPEG files that end too early, or have zeros in the middle, as copies that were cut short.

Decoders read zeros as image data and show grey or stripes from there on, without an error; some
show grey for the part that is missing, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

ZEROS = bytes(64)
TABLES, FRAME, EXTENDED, SCAN = 0xC4, 0xC0, 0xC1, 0xDA  # markers: DHT, SOF0, SOF1, SOS
END = b'\xff\xd9'
END_OF_BLOCK = 0x00  # the symbol


def zeroed_place(data: bytes) -> int | None:
    """Return the position of zeros in the image data of a JPEG file that no encoder writes.

    A plain picture may be zeros for long, where zeros end a block by every table of its codes.
    Nothing is said of such files, nor of progressive ones, whose tables change. Otherwise 64 zero
    bytes would be hundreds of coefficients of the same value.

    Args:
        data: The file.

    Returns:
        The position of the first zero; None if there are no such zeros.
    """
    if data.find(ZEROS) < 0:
        return None
    is_sequential, plain = False, []
    for marker, start, end in _segments(data):
        if marker in (FRAME, EXTENDED):
            is_sequential = True
        elif marker == TABLES:
            plain += _zeros_end_a_block(data[start:end])
        elif marker == SCAN:
            # in a scan of several colours, blocks of each table come in turns
            may_be_plain = any(plain) if data[start] == 1 else all(plain)
            last = data.find(END, end)
            place = data.find(ZEROS, end, last if last >= 0 else len(data))
            return place if is_sequential and not may_be_plain and place >= 0 else None
    return None


def has_end(data: bytes) -> bool:
    """Return whether a JPEG file has an end mark behind its image data.

    Image data contain no such mark, but previews before them do. Behind the mark there may be
    anything: cameras write texts, or further pictures.

    Args:
        data: The file.
    """
    if data.endswith(END):
        return True
    scans = (end for marker, _, end in _segments(data) if marker == SCAN)
    return any(data.find(END, scan) >= 0 for scan in scans)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment up to the first scan."""
    place, marker = 2, 0
    while place + 4 <= len(data) and data[place] == 0xFF and marker != SCAN:
        marker = data[place + 1]
        end = place + 2 + unpack_from('>H', data, place + 2)[0]
        yield marker, place + 4, end
        place = end


def _zeros_end_a_block(tables: bytes) -> Iterator[bool]:
    """Yield of each alternating-current table whether its code of zeros alone ends a block."""
    place = 0
    while place + 17 < len(tables):
        if tables[place] >> 4:
            yield tables[place + 17] == END_OF_BLOCK
        place += 17 + sum(tables[place + 1 : place + 17])
