"""Check the size of a picture from the header of its file before it is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import unpack_from

# The JPEG markers that begin a frame, whose header holds the size: SOF0 to SOF15. DHT, JPG and
# DAC have numbers in this range but begin no frame.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_FILLING = frozenset({0x00, 0xFF})
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
RADIANCE = re.compile(rb'[-+][XY] (\d{1,9}) [-+][XY] (\d{1,9})\n')
RADIANCE_START = (b'#?RADIANCE', b'#?RGBE')
HEAD = 1 << 16
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG = re.compile(rb'\x89PNG\r\n\x1a\n....IHDR(.{8})', re.DOTALL)
# Portable maps: as strictly as OpenCV reads them, or more so, lest it find another size.
_GAP = rb'\s(?:\s|#[^\r\n]*[\r\n])*'
PORTABLE = re.compile(rb'P[1-6Ff]%b(\d{1,9})%b(\d{1,9})\s' % (_GAP, _GAP))
PORTABLE_ANY = re.compile(
    rb'P7\nWIDTH (\d{1,9})\nHEIGHT (\d{1,9})\nDEPTH \d+\nMAXVAL \d+\n(?:TUPLTYPE \w+\n)?ENDHDR\n'
)


class TooLargeError(ValueError):
    """A picture has too many pixels, or is too long for its width."""


@dataclass(frozen=True)
class PhotoLimits:
    """Limits of the size of a picture.

    A file of a few kilobytes can contain a picture of gigabytes. And if the shorter side is
    resized to 256 pixels, a picture of 1 x 20,000 pixels becomes one of 256 x 5,120,000.

    Args:
        max_pixels: The maximum number of pixels. The largest cameras for sale have 151 million.
        max_aspect: The maximum ratio of the longer side to the shorter side.

    Raises:
        ValueError: If one of them is below 1.
    """

    max_pixels: float = 160e6
    max_aspect: float = 100.0

    def __post_init__(self) -> None:
        for name in ('max_pixels', 'max_aspect'):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value >= 1:
                raise ValueError(f'{name} must be a number of at least 1, got {value!r}')

    def require(self, size: tuple[int, int] | None) -> None:
        """Check that a picture is not too large.

        Args:
            size: Width and height; None if they are not known.

        Raises:
            TooLargeError: If it is too large; the message names the argument that allows it.
        """
        if size is None:
            return
        width, height = size
        if width * height > self.max_pixels:
            raise TooLargeError(
                f'it has {width} x {height} pixels, more than {self.max_pixels / 1e6:g} million: '
                'make it smaller, or raise max_pixels of LoadPhoto'
            )
        if max(size) > self.max_aspect * max(min(size), 1):
            raise TooLargeError(
                f'it has {width} x {height} pixels, one side more than {self.max_aspect:g} times '
                'as long as the other: crop it, or raise max_aspect of LoadPhoto'
            )


LIMITS = PhotoLimits()


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG file from its header, which takes microseconds.

    Args:
        data: The content of the file.

    Returns:
        Width and height, or None if no frame is found.
    """
    place = 2
    while place + 9 <= len(data):
        if data[place] != 0xFF:  # decoders skip bytes between segments
            place = data.find(b'\xff', place)
            if place < 0:
                return None
            continue
        marker = data[place + 1]
        if marker in JPEG_FRAMES:
            height, width = unpack_from('>HH', data, place + 5)
            return width, height
        if marker in JPEG_FILLING:
            place += 1
        elif marker in JPEG_BARE:
            place += 2
        else:
            place += 2 + unpack_from('>H', data, place + 2)[0]
    return None


def radiance_size(data: bytes) -> tuple[int, int] | None:
    """Return the sides of a Radiance file (.hdr), which OpenCV can decode but Pillow cannot.

    Args:
        data: The content of the file.

    Returns:
        The two sides, or None if it is not a Radiance file.
    """
    found = RADIANCE.search(data, 0, HEAD) if data.startswith(RADIANCE_START) else None
    return found and (int(found[1]), int(found[2]))


def has_too_long_chunk(data: bytes) -> bool:
    """Return whether a PNG file has a chunk that claims to be longer than the file.

    OpenCV allocates memory for the whole chunk before it reads on, and the four bytes of a
    length are enough. It stops at the end mark, behind which some programs write their own
    bytes, but not at a mark that comes before the picture.

    Args:
        data: The content of a PNG file.
    """
    place, has_picture = len(PNG_START), False
    while place + 4 <= len(data):
        length = unpack_from('>I', data, place)[0]
        kind = data[place + 4 : place + 8]
        if length > len(data):
            return True
        if has_picture and kind == b'IEND':
            return False
        has_picture |= kind == b'IDAT'
        place += 12 + length
    return False


def size_without_pillow(data: bytes) -> tuple[int, int] | None:
    """Return the sides of a file that OpenCV can decode although Pillow refuses it.

    These are PNG files with damage outside the picture, portable maps (PNM, PFM and PAM) and
    Radiance files.

    Args:
        data: The content of the file.

    Returns:
        The two sides, or None if it is not one of these files.
    """
    if found := PNG.match(data):
        return unpack_from('>II', found[1])
    found = PORTABLE_ANY.match(data) or PORTABLE.match(data, 0, HEAD)
    return (int(found[1]), int(found[2])) if found else radiance_size(data)
