"""Decode an image file to the pixels that the model sees, with notes on lost information.

Training, prediction, search and thumbnails all use this decoder, so they see the same picture.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageOps

from .photo_limits import (
    LIMITS,
    PNG_START,
    PhotoLimits,
    TooLargeError,
    has_too_long_chunk,
    jpeg_size,
    size_without_pillow,
)
from .zeroed_jpeg import has_end, zeroed_place

JPEG_START = b'\xff\xd8\xff'
EIGHT_BIT_FORMATS = ('BMP', 'GIF', 'JPEG', 'MPO', 'WEBP')
BIT_DEPTHS = (8, 10, 12, 14, 16)  # bit depths that cameras and scanners write into 16-bit files
OPENCV_BEFORE_5 = int(cv2.__version__.split('.')[0]) < 5  # OpenCV does not turn WebP files upright
ORIENTATION = 0x0112  # the EXIF entry
# For each factor by which OpenCV can shrink: the flags for a colour image and for a grey image.
REDUCED = {
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
}
FAINT = 16  # mean distance from white, of 255, below which a shape on white cannot be seen

# The errors that Pillow and OpenCV raise for damaged files, most of them undocumented.
DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    cv2.error,
)
UNKNOWN = (
    'it is damaged or of an unknown type: Pillow cannot open it, and its header has no size that '
    'can be checked before OpenCV decodes it. Save it as PNG or JPEG'
)


class UndecodableError(ValueError):
    """An image that cannot be converted to 8-bit pixels; the message says why."""


def decode_photo(
    data: bytes,
    *,
    grey: bool = False,
    least_side: int | None = None,
    limits: PhotoLimits = LIMITS,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the pixels of an image file, and notes on what they do not show.

    Files of 8 bits per channel without transparency give the pixels of the host's
    ``LoadImageFromFile``, turned upright by their EXIF entry. A JPEG file that ends too early, or
    has zeros in the middle, is refused, though OpenCV may show it with grey in the place of what
    is missing. In addition:

    - transparent parts show white, as in a browser; they show black where the visible parts are
      nearly white themselves, and a wholly transparent image counts as opaque;
    - 16-bit files are scaled to 8 bits by the smallest usual depth (8, 10, 12, 14 or 16 bits)
      that holds their largest value.

    Args:
        data: The content of the file.
        grey: Whether to return one channel.
        least_side: If given, a JPEG may be decoded at a half, a fourth or an eighth of its size,
            as long as its shorter side keeps this many pixels. This saves time for thumbnails.
        limits: How large the picture may be.

    Returns:
        The pixels, (H, W, 3) in BGR order or (H, W), uint8; and a note for each kind of
        information that was lost. Notes of one kind have the same words.

    Raises:
        UndecodableError: If the image cannot be decoded, whatever the decoder raised.
    """
    try:
        return _decode_with_notes(data, grey, least_side, limits)
    except UndecodableError:
        raise
    except TooLargeError as error:
        raise UndecodableError(str(error)) from None
    except DAMAGE as error:
        raise UndecodableError(f'it is damaged: {str(error) or type(error).__name__}') from error


def _decode_with_notes(
    data: bytes, grey: bool, least_side: int | None, limits: PhotoLimits
) -> tuple[np.ndarray, tuple[str, ...]]:
    if data.startswith(JPEG_START):  # always 8 bits and opaque, so Pillow is not needed
        size = jpeg_size(data)
        if size is None:
            raise UndecodableError('it is damaged: a JPEG file whose header has no size')
        limits.require(size)
        _require_whole_jpeg(data, limits)
        return _decode(data, _jpeg_flag(min(size), least_side, grey)), ()
    try:
        image = open_within(data, limits)
    except TooLargeError:
        raise
    except DAMAGE:  # a type that Pillow does not know, or a file that it takes for damaged
        return _decode_by_opencv(data, grey, limits), ()
    if image.format == 'PPM' and size_without_pillow(data) != image.size:
        raise UndecodableError('it is damaged: its header can be read in two ways')
    with image:
        notes = ['several frames or pages: only the first one is shown'] * _has_frames(image)
        deep, alpha = _is_deep(image, data), _has_alpha(image)
        if not deep and not alpha:
            return _decode(data, _flag(grey), image), tuple(notes)
        pixels, opacity = _decode_deep(data, image) if deep else _decode_alpha(image)
        if not deep and opacity.min() == 255:
            return _decode(data, _flag(grey), image), tuple(notes)
        if deep:
            depth = _used_depth(pixels)
            pixels = _to_eight_bits(pixels, depth)
            notes.append(f'16 bits a channel, {depth} of them in use: shown in 8 bits')
        if opacity is not None and opacity.min() < 255:
            pixels, note = _on_background(pixels, opacity)
            notes.append(note)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if grey else pixels, tuple(notes)


def _require_whole_jpeg(data: bytes, limits: PhotoLimits) -> None:
    """Refuse a file of which OpenCV, or some versions of it, would show a part as grey."""
    place = zeroed_place(data)
    if place is not None:
        raise UndecodableError(
            f'it is damaged: zeros from byte {place:,} on, in the middle of the picture'
        )
    if not has_end(data):  # Pillow refuses these, but takes a mark that odd segments hide
        with open_within(data, limits) as image:
            image.draft(None, (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()


def _decode_by_opencv(data: bytes, grey: bool, limits: PhotoLimits) -> np.ndarray:
    size = size_without_pillow(data)
    if size is None:
        raise UndecodableError(UNKNOWN)
    limits.require(size)
    return _decode(data, _flag(grey))


def open_within(data: bytes, limits: PhotoLimits = LIMITS) -> Image.Image:
    """Return an image opened with Pillow, whose pixels are not decoded yet.

    Args:
        data: The content of the file.
        limits: How large the picture may be. Pillow's own limit, 179 million pixels, is raised if
            these limits allow more.

    Raises:
        TooLargeError: If the picture is larger.
        Exception: An error of Pillow if it cannot open the file, see ``DAMAGE``.
    """
    most = Image.MAX_IMAGE_PIXELS  # Pillow raises an error for more than twice as many
    if most is not None and 2 * most < limits.max_pixels:
        Image.MAX_IMAGE_PIXELS = int(limits.max_pixels)
    try:
        image = Image.open(BytesIO(data))
    except Image.DecompressionBombError as error:
        raise TooLargeError(f'{error}: make it smaller, or raise max_pixels') from None
    limits.require(image.size)
    return image


def _flag(grey: bool) -> int:
    return cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR


def _jpeg_flag(side: int, least_side: int | None, grey: bool) -> int:
    shrink = 1 if least_side is None else side // least_side
    for factor, flags in REDUCED.items():
        if shrink >= factor:
            return flags[grey]
    return _flag(grey)


def _is_turned_webp(image: Image.Image) -> bool:
    return image.format == 'WEBP' and image.getexif().get(ORIENTATION, 1) != 1


def _decode(data: bytes, flag: int, image: Image.Image | None = None) -> np.ndarray:
    if data.startswith(PNG_START) and has_too_long_chunk(data):
        raise UndecodableError('it is damaged: a part of it is longer than the file')
    turned = OPENCV_BEFORE_5 and image is not None and _is_turned_webp(image)
    try:
        pixels = None if turned else cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise UndecodableError(f'OpenCV cannot decode it: {error}') from None
    if pixels is None and image is not None:  # for example GIF, which older OpenCV cannot decode
        pixels = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))[..., ::-1]
        pixels = np.ascontiguousarray(pixels)
        if flag == cv2.IMREAD_GRAYSCALE:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if pixels is None:
        raise UndecodableError('OpenCV cannot decode it')
    return pixels


def _has_frames(image: Image.Image) -> bool:
    # the other frame of an MPO file is a preview
    return image.format != 'MPO' and getattr(image, 'n_frames', 1) > 1


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ('RGBA', 'LA', 'PA', 'RGBa') or 'transparency' in image.info


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Return whether a channel has more than 8 bits; Pillow's mode does not always show it."""
    if image.format == 'PNG':
        return data[24] > 8  # bit depth of IHDR, which is always the first chunk
    if image.format == 'TIFF':
        return max(image.tag_v2.get(258, (1,))) > 8  # BitsPerSample
    if image.format in EIGHT_BIT_FORMATS:
        return False
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels is not None and pixels.dtype != np.uint8


def _decode_deep(data: bytes, image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    known = image.mode != 'F' and max(getattr(image, 'tag_v2', {}).get(258, (16,))) <= 16
    pixels = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if known else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise UndecodableError(
            'it has more than 16 bits, decimal or signed numbers per channel, and nothing in the '
            'file says which values are black and white: save it with 8 or 16 bits'
        )
    if image.mode not in ('RGBA', 'LA'):
        return pixels, None
    opacity = np.asarray(ImageOps.exif_transpose(image).getchannel('A'))
    most = int(opacity.max())  # below 255 if the alpha channel also has 12 bits
    return pixels, np.uint8(np.rint(opacity * (255 / most))) if most else opacity


def _decode_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    rgba = np.asarray(ImageOps.exif_transpose(image).convert('RGBA'))
    return np.ascontiguousarray(rgba[..., 2::-1]), rgba[..., 3]


def _used_depth(pixels: np.ndarray) -> int:
    most = int(pixels.max())
    return next(depth for depth in BIT_DEPTHS if most < 2**depth)


def _to_eight_bits(pixels: np.ndarray, depth: int) -> np.ndarray:
    return np.rint(pixels * np.float32(255 / (2**depth - 1))).astype(np.uint8)


def _on_background(pixels: np.ndarray, opacity: np.ndarray) -> tuple[np.ndarray, str]:
    if not opacity.any():
        return pixels, 'wholly transparent: shown as if it were opaque'
    share = opacity[..., None].astype(np.float32) / 255  # (H, W, 1)
    contrast = float((share * (255 - pixels.astype(np.float32))).mean() / share.mean())
    name, value = ('white', 255) if contrast >= FAINT else ('black', 0)
    blended = np.rint(pixels * share + value * (1 - share)).astype(np.uint8)
    return blended, f'transparent parts: shown on {name}'
