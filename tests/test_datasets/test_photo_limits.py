"""Images that are too large are refused by the header of their file, before decoding."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from vit_plugins.config_edits.folder_reading import photo_limits
from vit_plugins.datasets import photo_decoding
from vit_plugins.datasets.image_check import check_images, inspect_image
from vit_plugins.datasets.near_duplicates import difference_hash
from vit_plugins.datasets.photo_decoding import UndecodableError, decode_photo
from vit_plugins.datasets.photo_limits import (
    PhotoLimits,
    jpeg_size,
    radiance_size,
    size_without_pillow,
)
from vit_plugins.datasets.transforms import LoadPhoto


def png(width, height):
    """Write a PNG file with a full header and little data."""

    def chunk(name, content):
        check = struct.pack('>I', zlib.crc32(name + content))
        return struct.pack('>I', len(content)) + name + content + check

    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def encoded(kind='JPEG', size=(8, 6), **settings):
    stream = BytesIO()
    Image.new('RGB', size, 'red').save(stream, kind, **settings)
    return stream.getvalue()


def jpeg(width, height, **settings):
    """Write a JPEG file whose header states a wrong size."""
    data = bytearray(encoded(**settings))
    place = data.index(b'\xff\xc2' if settings.get('progressive') else b'\xff\xc0')
    data[place + 5 : place + 9] = struct.pack('>HH', height, width)
    return bytes(data)


LARGE = {
    'png': png(13_000, 13_000),
    'png that Pillow refuses itself': png(30_000, 30_000),
    'jpeg': jpeg(13_000, 13_000),
    'progressive jpeg': jpeg(65_000, 65_000, progressive=True),
    'bmp': encoded('BMP').replace(struct.pack('<ii', 8, 6), struct.pack('<ii', 13_000, 13_000)),
    'hdr': b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n' + bytes(99),
}
PAM = b'P7\nWIDTH %d\nHEIGHT %d\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n'
LARGE |= {
    'png that Pillow does not open': LARGE['png'][:33]
    + struct.pack('>I4sI', 0, b'tEXt', 1)
    + LARGE['png'][33:],
    'pam': PAM % (30_000, 30_000) + bytes(99),
    'pgm that Pillow does not open': b'P5\n#\n30000 #\n 30000 99999\n' + bytes(99),
    'pfm': b'PF\n30000 30000\n-1.0\n' + bytes(99),
}
NOT_OF_PILLOW = ('hdr', 'pam', 'pfm')
LONG = {'png': png(1, 20_000), 'jpeg': jpeg(20_000, 1), 'gif': encoded('GIF', (1, 2_000))}


@pytest.fixture
def no_decoding(monkeypatch):
    def decode(*args, **kwargs):
        raise AssertionError('decoded')

    monkeypatch.setattr(photo_decoding, '_decode', decode)


@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('name', LARGE)
def test_too_many_pixels(name, tmp_path, no_decoding):
    said = r'it has \d+ x \d+ pixels, more than 160 million: .* max_pixels|decompression bomb'
    with pytest.raises(UndecodableError, match=said):
        decode_photo(LARGE[name])
    (tmp_path / 'x').write_bytes(LARGE[name])
    if not name.startswith(NOT_OF_PILLOW) and 'does not open' not in name:
        assert 'max_pixels' in inspect_image(tmp_path / 'x').problem
    assert difference_hash(tmp_path / 'x') is None


@pytest.mark.parametrize('name', LONG)
def test_too_long(name, tmp_path, no_decoding):
    with pytest.raises(UndecodableError, match=r'more than 100 times as long .* max_aspect'):
        decode_photo(LONG[name])
    (tmp_path / 'x').write_bytes(LONG[name])
    assert '100 times' in inspect_image(tmp_path / 'x').problem


@pytest.mark.parametrize('tail', [b'\nCamera text', b'\n' * 4, encoded('PNG'), b'\xff' * 100])
def test_bytes_behind_the_end_of_a_png_are_ignored(tail):
    pixels, _ = decode_photo(encoded('PNG') + tail)
    assert (pixels == decode_photo(encoded('PNG'))[0]).all()


def test_an_end_before_the_picture_of_a_png_is_no_end():
    head, end = encoded('PNG')[:33], encoded('PNG')[-12:]
    with pytest.raises(UndecodableError, match='a part of it is longer than the file'):
        decode_photo(head + end + b'\x7f\xff\xff\xff')


def test_limits_by_argument(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(encoded(size=(40, 30)))
    (tmp_path / 'b.jpg').write_bytes(encoded(size=(300, 2)))
    small, thin = ({'img_path': str(tmp_path / name)} for name in ('a.jpg', 'b.jpg'))
    assert LoadPhoto()(small)['img'].shape == (30, 40, 3)
    with pytest.raises(UndecodableError, match=r'a\.jpg cannot be loaded: it has 40 x 30 pixels'):
        LoadPhoto(max_pixels=1199)(small)
    assert LoadPhoto(max_pixels=1199, ignore_empty=True)(small) is None
    with pytest.raises(UndecodableError, match=r'b\.jpg cannot be loaded'):
        LoadPhoto()(thin)
    assert LoadPhoto(max_aspect=150)(thin)['img'].shape == (2, 300, 3)
    assert [name for name, _ in check_images(tmp_path, ['a.jpg', 'b.jpg'])] == ['b.jpg']
    # what was read under other limits is not remembered for these
    limits = PhotoLimits(max_pixels=1199, max_aspect=150)
    assert [name for name, _ in check_images(tmp_path, ['a.jpg', 'b.jpg'], limits=limits)] == [
        'a.jpg'
    ]
    with pytest.raises(ValueError, match='max_aspect must be a number of at least 1, got 0'):
        LoadPhoto(max_aspect=0)


def test_the_check_of_a_folder_has_the_limits_of_its_loader():
    pipeline = [dict(type='LoadPhoto', max_pixels=3e8), dict(type='PackInputs')]
    cfg = Config(dict(train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    assert photo_limits(cfg) == PhotoLimits(max_pixels=3e8)
    del pipeline[0], cfg.train_dataloader.dataset.pipeline[0]
    assert photo_limits(cfg) == PhotoLimits()


@pytest.mark.parametrize('progressive', [False, True])
def test_size_of_a_jpeg_file(progressive):
    exif = Image.Exif()
    exif[0x010E] = 'x' * 3000
    data = encoded(size=(70, 33), progressive=progressive, exif=exif, comment=b'\xff' * 99)
    assert jpeg_size(data) == (70, 33)
    place = data.index(b'\xff\xdb')
    assert jpeg_size(data[:place] + b'\x00\x12\xff\xff\xff' + data[place + 1 :]) == (70, 33)
    for end in (2, 20, place, 3100):
        assert jpeg_size(data[:end]) is None
    with pytest.raises(UndecodableError, match='header has no size'):
        decode_photo(data[:3100])


def test_other_files_have_no_radiance_size():
    assert radiance_size(LARGE['hdr']) == (30_000, 30_000)
    assert radiance_size(np.arange(99, dtype=np.uint8).tobytes()) is None


def test_files_that_opencv_alone_decodes():
    """Below the limit they are decoded as before; with an unknown size they are refused."""
    bad = struct.pack('>I4sI', 0, b'tEXt', 1)
    whole = encoded('PNG')
    kinds = {
        'png': whole[:33] + bad + whole[33:],
        'pam': PAM % (8, 6) + bytes(48),
        'pfm': b'PF\n8 6\n-1.0\n' + bytes(8 * 6 * 3 * 4),
    }
    for data in kinds.values():
        with pytest.raises(OSError, match=r'.'):
            photo_decoding.open_within(data).load()
        assert size_without_pillow(data) == (8, 6)
        assert decode_photo(data)[0].shape == (6, 8, 3)
        with pytest.raises(UndecodableError, match='8 x 6 pixels, more than'):
            decode_photo(data, limits=PhotoLimits(max_pixels=47))
    for data in (kinds['pam'].replace(b'DEPTH', b'WIDTH 9\nDEPTH'), b'II*\0' + bytes(99)):
        with pytest.raises(UndecodableError, match=r'no size that can be checked .*\. Save it as'):
            decode_photo(data)


def test_a_map_of_two_sizes():
    """Pillow reads the text after # as a comment, OpenCV as a number."""
    data = b'P5 1#30000\n 1 255 ' + bytes(30_000)
    assert photo_decoding.open_within(data).size == (1, 1)
    with pytest.raises(UndecodableError, match='can be read in two ways'):
        decode_photo(data)


@pytest.mark.parametrize('place', [33, -12])
def test_a_part_of_a_png_that_is_longer_than_the_file(place, monkeypatch):
    whole = encoded('PNG')
    assert decode_photo(whole)[0].shape == (6, 8, 3)
    monkeypatch.setattr(photo_decoding.cv2, 'imdecode', None)
    data = whole[:place] + struct.pack('>I4s', 2**31 - 1, b'tEXt') + whole[place:]
    with pytest.raises(UndecodableError, match='a part of it is longer than the file'):
        decode_photo(data)


def test_a_png_that_ends_with_the_length_of_a_part(monkeypatch):
    """OpenCV 4.11 allocated 1 GB for these 37 bytes."""
    monkeypatch.setattr(photo_decoding.cv2, 'imdecode', None)
    with pytest.raises(UndecodableError, match='a part of it is longer than the file'):
        decode_photo(encoded('PNG')[:33] + struct.pack('>I', 2**30 - 16))
