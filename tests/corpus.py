"""A corpus of valid and invalid photo files, made from seeds, that tools must read or refuse.

It needs no network and takes less than a megabyte. Each file says what a reader must do with it:
read it, or refuse it with a reason. No tool may hang, end with an undocumented error, or accept a
refused file as a picture.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

CUTS = 13  # places at which each kind of file is cut
SIDE = 48
KINDS = {'jpg': 'JPEG', 'png': 'PNG', 'tif': 'TIFF', 'webp': 'WEBP', 'gif': 'GIF'}
UNLISTED = ('.gif',)  # suffixes that the scan of a folder leaves out


@dataclass(frozen=True)
class CorpusFile:
    """A file of the corpus.

    Attributes:
        name: Its name in its folder.
        why: A pattern of the reason for which it is refused; empty for a file that must be read.
        is_listed: Whether the scan of a folder must list it; a file can always be named.
    """

    name: str
    why: str = ''
    is_listed: bool = True


def write_corpus(folder: Path) -> list[CorpusFile]:
    """Write all files into a new folder.

    Args:
        folder: The folder.
    """
    folder.mkdir(parents=True)
    found = []
    for make in (_cut, _damaged, _unusual, _too_large, _no_files, _oddly_named):
        found += make(folder)
    return found


def picture(seed: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """Return a smooth coloured picture with noise.

    Args:
        seed: Decides the picture.
        size: Width and height.
    """
    rng = np.random.default_rng(seed)
    smooth = Image.fromarray(rng.integers(0, 255, (4, 4, 3), np.uint8)).resize(size)
    noisy = np.asarray(smooth, np.float32) + rng.normal(0, 12, (*size[::-1], 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    """Return a picture as the content of a file.

    Args:
        image: The picture.
        kind: A format of Pillow.
        **settings: How it is encoded.
    """
    stream = BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def _cut(folder: Path) -> Iterator[CorpusFile]:
    """Write files of each format that end too early, as after an interrupted copy."""
    for suffix, kind in KINDS.items():
        for progressive in (False, True) if kind == 'JPEG' else (False,):
            data = encoded(picture(), kind, **({'progressive': True} if progressive else {}))
            for place in range(1, CUTS + 1):
                name = f'cut {place}{" progressive" * progressive}.{suffix}'
                (folder / name).write_bytes(data[: len(data) * place // (CUTS + 1)])
                yield CorpusFile(name, '.', f'.{suffix}' not in UNLISTED)


def _damaged(folder: Path) -> Iterator[CorpusFile]:
    files = {'empty.jpg': (b'', 'empty'), 'empty.png': (b'', 'empty')}
    files['zeros.jpg'] = files['zeros.png'] = bytes(4096), 'not an image|damaged'
    files['text.jpg'] = b'<html>404 Not Found</html>', 'not an image|damaged'
    zeroed = {
        'zeroed.jpg': ('JPEG', {'quality': 90}),
        'zeroed with a text behind.jpg': ('JPEG', {'quality': 90}),
        'zeroed.png': ('PNG', {}),
        'zeroed, stored.png': ('PNG', {'compress_level': 0}),
    }
    for name, (kind, settings) in zeroed.items():
        data = bytearray(encoded(picture(1, (160, 120)), kind, **settings))
        middle = len(data) // 2
        data[middle : middle + 512] = bytes(512)
        data += b'made by a camera' * ('behind' in name)
        files[name] = bytes(data), 'zeros from byte' if kind == 'JPEG' else '.'
    for name, (data, why) in files.items():
        (folder / name).write_bytes(data)
        yield CorpusFile(name, why)


def _unusual(folder: Path) -> Iterator[CorpusFile]:
    """Write complete but unusual files, which must be read if any program can read them."""
    image = picture(2)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    deep = (np.asarray(image.convert('L'), np.uint16) << 4) + 7
    shape = Image.new('RGBA', image.size)
    shape.paste((0, 0, 0, 255), (8, 8, 40, 20))
    frames = {'save_all': True, 'append_images': [picture(3), picture(4)]}
    files = {
        'cmyk.jpg': encoded(image.convert('CMYK'), 'JPEG'),
        'grey.jpg': encoded(image.convert('L'), 'JPEG'),
        'turned.jpg': encoded(picture(2, (SIDE, 32)), 'JPEG', exif=exif),
        'turned.webp': encoded(picture(2, (SIDE, 32)), 'WEBP', exif=exif),
        'behind its end.jpg': encoded(image, 'JPEG') + b'made by a camera' + bytes(99),
        'deep.png': encoded(Image.fromarray(deep), 'PNG'),
        'deep.tif': encoded(Image.fromarray(deep), 'TIFF'),
        'shape.png': encoded(shape, 'PNG'),
        'shape.webp': encoded(shape, 'WEBP', lossless=True),
        'shape.tif': encoded(shape, 'TIFF'),
        'clear.png': encoded(Image.new('RGBA', image.size), 'PNG'),
        'palette.png': encoded(image.convert('P'), 'PNG'),
        'palette with a hole.png': encoded(image.convert('P'), 'PNG', transparency=0),
        'bits.png': encoded(image.convert('1'), 'PNG'),
        'small.png': encoded(picture(5, (1, 1)), 'PNG'),
        'small.jpg': encoded(picture(5, (1, 1)), 'JPEG'),
        'moving.gif': encoded(image, 'GIF', **frames),
        'moving.png': encoded(image, 'PNG', **frames),
        'moving.webp': encoded(image, 'WEBP', **frames),
        'pages.tif': encoded(image, 'TIFF', **frames),
        'a png.jpg': encoded(image, 'PNG'),
        'a jpeg.png': encoded(image, 'JPEG'),
        'a gif.jpg': encoded(image, 'GIF'),
        'a webp.tif': encoded(image, 'WEBP'),
    }
    refused = {
        'decimal.tif': encoded(Image.fromarray(np.float32(deep)), 'TIFF'),
    }
    for name, data in {**files, **refused}.items():
        (folder / name).write_bytes(data)
        why = 'more than 16 bits, decimal' if name in refused else ''
        yield CorpusFile(name, why, not name.endswith(UNLISTED))


def _too_large(folder: Path) -> Iterator[CorpusFile]:
    """Write small files that would need much memory."""
    files = {
        'thin.png': (encoded(picture(6, (1, 2000)), 'PNG'), 'more than 100 times as long'),
        'flat.jpg': (encoded(picture(6, (2000, 1)), 'JPEG'), 'more than 100 times as long'),
        'huge.png': (_png_of_size(20_000, 20_000), 'pixels, more than|decompression bomb'),
        'huge.jpg': (_jpeg_of_size(60_000, 60_000), 'pixels, more than|decompression bomb'),
    }
    for name, (data, why) in files.items():
        (folder / name).write_bytes(data)
        yield CorpusFile(name, why)
    with (folder / 'sparse.jpg').open('wb') as file:  # takes no room on the disk
        file.write(encoded(picture(), 'JPEG'))
        file.truncate(1 << 40)
    yield CorpusFile('sparse.jpg', 'GB')


def _png_of_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack('>I', zlib.crc32(name + content))
        return struct.pack('>I', len(content)) + name + content + check

    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def _jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), 'JPEG'))
    place = data.index(b'\xff\xc0')
    data[place + 5 : place + 9] = struct.pack('>HH', height, width)
    return bytes(data)


def _no_files(folder: Path) -> Iterator[CorpusFile]:
    """Write entries that are not files or that must not be read."""
    (folder / 'dangling.jpg').symlink_to(folder / 'nowhere.jpg')
    yield CorpusFile('dangling.jpg', 'No such file', is_listed=False)
    (folder / 'looping.jpg').symlink_to(folder / 'looping.jpg')
    yield CorpusFile('looping.jpg', 'symbolic links', is_listed=False)
    (folder / 'a folder').mkdir()
    (folder / 'a folder' / 'up').symlink_to(folder)
    picture(7).save(folder / 'elsewhere.png')
    (folder / 'link.png').symlink_to(folder / 'elsewhere.png')
    yield from (CorpusFile('elsewhere.png'), CorpusFile('link.png'))
    if hasattr(os, 'mkfifo'):
        os.mkfifo(folder / 'pipe.jpg')
        yield CorpusFile('pipe.jpg', 'no file', is_listed=False)
    if getattr(os, 'geteuid', lambda: 0)():  # root may read everything
        picture(7).save(folder / 'forbidden.png')
        (folder / 'forbidden.png').chmod(0)
        yield CorpusFile('forbidden.png', 'Permission denied')


def _oddly_named(folder: Path) -> Iterator[CorpusFile]:
    names = [
        *('with space.png', ' around .png', '雪 ☃ ß é.png', '-leading.png', '--out.png'),
        *('=1+1.png', 'a,b;"c".png', "it's.png", '%s {0} $HOME.png', 'UPPER.PNG', 'many.dots.png'),
        *('[a].png', '*.png', 'back\\slash.png', f'{"long" * 62}.png'),
    ]
    if sys.platform == 'linux':
        names += ['new\nline.png', 'esc\x1b[2J.png', os.fsdecode(b'caf\xe9.png'), 'gpj\u202e.png']
    data = encoded(picture(8), 'PNG')
    for name in names:
        (folder / name).write_bytes(data)
        yield CorpusFile(name)
    (folder / '.hidden.png').write_bytes(data)
    yield CorpusFile('.hidden.png', is_listed=False)
