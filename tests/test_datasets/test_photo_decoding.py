"""Files to pixels: usual files as the host reads them, others as viewers show them."""

from io import BytesIO

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image, ImageOps

from vit_plugins.datasets import photo_decoding
from vit_plugins.datasets.photo_decoding import OPENCV_BEFORE_5, UndecodableError, decode_photo

SMALL = np.random.default_rng(0).integers(0, 255, (5, 4, 3), np.uint8)
PHOTO = cv2.resize(SMALL, (40, 48), interpolation=cv2.INTER_CUBIC)  # (48, 40, 3), RGB
EXIF = Image.Exif()
EXIF[0x0112] = 6


def encoded(image, kind, **settings):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


@pytest.mark.parametrize('grey', [False, True])
@pytest.mark.parametrize(
    ('kind', 'mode', 'settings'),
    [
        *(('PNG', mode, {}) for mode in ('RGB', 'L', 'P', '1', 'RGBA', 'LA')),  # opaque alpha
        *(('TIFF', mode, {}) for mode in ('RGB', 'L', 'P', '1')),
        *(('BMP', mode, {}) for mode in ('RGB', 'L', 'P', '1')),
        *(('JPEG', mode, {'exif': EXIF}) for mode in ('RGB', 'L', 'CMYK')),
        ('PPM', 'RGB', {}),
        ('PNG', 'RGB', {'exif': EXIF}),
        ('WEBP', 'RGB', {}),
    ],
)
def test_ordinary_files_give_the_pixels_of_the_host(kind, mode, settings, grey):
    data = encoded(Image.fromarray(PHOTO).convert(mode), kind, **settings)
    pixels, notes = decode_photo(data, grey=grey)
    np.testing.assert_array_equal(
        pixels, mmcv.imfrombytes(data, 'grayscale' if grey else 'color', backend='cv2')
    )
    assert notes == ()
    assert pixels.shape[:2] == ((40, 48) if settings.get('exif') else (48, 40))


@pytest.mark.parametrize('before_5', [False, True])
def test_a_webp_file_is_turned_upright_by_any_opencv(monkeypatch, before_5):
    monkeypatch.setattr(photo_decoding, 'OPENCV_BEFORE_5', before_5 or OPENCV_BEFORE_5)
    data = encoded(Image.fromarray(PHOTO), 'WEBP', exif=EXIF, lossless=True)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    pixels, notes = decode_photo(data)
    np.testing.assert_array_equal(pixels, np.asarray(upright.convert('RGB'))[..., ::-1])
    assert notes == ()


def shape(colour, mode='RGBA'):
    """Return an image of a bar that is in the alpha channel alone."""
    image = Image.new('RGB', (20, 20), colour).convert(mode)
    alpha = np.zeros((20, 20), np.uint8)
    alpha[8:12] = 255
    image.putalpha(Image.fromarray(alpha))
    return image


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize(
    ('colour', 'ground'), [((0, 0, 0), 255), ((250, 250, 250), 0), ((200, 30, 60), 255)]
)
def test_shapes_of_the_alpha_channel_are_seen(kind, colour, ground):
    settings = {'lossless': True, 'exact': True} if kind == 'WEBP' else {}
    pixels, notes = decode_photo(encoded(shape(colour), kind, **settings))
    assert (pixels[:8] == ground).all()
    assert (pixels[8:12] == colour[::-1]).all()
    assert notes == (f'transparent parts: shown on {"white" if ground else "black"}',)
    grey, _ = decode_photo(encoded(shape(colour), kind, **settings), grey=True)
    assert grey.shape == (20, 20)
    assert grey.std() > 0


def test_transparent_grey_palette_and_single_colours():
    bars = np.zeros((20, 20), np.uint8)
    bars[8:12] = 40
    for image, settings in [
        (shape((0, 0, 0), 'LA'), {}),
        (Image.fromarray(bars), {'transparency': 40}),
        (Image.fromarray(np.dstack([bars] * 3)), {'transparency': (0, 0, 0)}),
        (Image.fromarray(bars).convert('P'), {'transparency': 0}),
    ]:
        pixels, notes = decode_photo(encoded(image, 'PNG', **settings))
        assert notes == ('transparent parts: shown on white',)
        assert len(np.unique(pixels[..., 0])) == 2
        assert pixels.max() == 255


def test_half_transparent_pixels_are_mixed():
    pixels, _ = decode_photo(encoded(Image.new('RGBA', (2, 2), (100, 0, 200, 51)), 'PNG'))
    np.testing.assert_array_equal(pixels[0, 0], [244, 204, 224])  # 0.2 colour + 0.8 white


def test_wholly_transparent_image_counts_as_opaque():
    rgba = np.dstack([PHOTO, np.zeros((48, 40), np.uint8)])
    pixels, notes = decode_photo(encoded(rgba, 'PNG'))
    np.testing.assert_array_equal(pixels, PHOTO[..., ::-1])
    assert notes == ('wholly transparent: shown as if it were opaque',)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.pgm'])
@pytest.mark.parametrize('depth', [10, 12, 14, 16])
def test_deep_files_use_the_whole_range(suffix, depth):
    values = np.linspace(0, 2**depth - 1, 256).round().astype(np.uint16).reshape(16, 16)
    data = cv2.imencode(suffix, values)[1].tobytes()
    pixels, notes = decode_photo(data)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.arange(256).reshape(16, 16, 1).repeat(3, 2))
    assert notes == (f'16 bits a channel, {depth} of them in use: shown in 8 bits',)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.ppm'])
def test_deep_colours(suffix):
    deep = PHOTO[..., ::-1].astype(np.uint16) * 16 + 7  # 12 bits
    pixels, _ = decode_photo(cv2.imencode(suffix, deep)[1].tobytes())
    np.testing.assert_array_equal(pixels, np.rint(deep / 4095 * 255))


def test_deep_transparent_and_upright():
    deep = np.zeros((20, 20, 4), np.uint16)
    deep[8:12] = [4095, 0, 0, 4095]  # alpha of 12 bits, too
    pixels, notes = decode_photo(cv2.imencode('.png', deep)[1].tobytes())
    assert (pixels[:8] == 255).all()
    assert (pixels[8:12] == [255, 0, 0]).all()
    assert len(notes) == 2
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
    turned, _ = decode_photo(encoded(values, 'PNG', exif=EXIF))
    assert turned.shape == (4, 3, 3)


def test_several_frames():
    frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1].copy())]
    for kind in ('TIFF', 'GIF'):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        pixels, notes = decode_photo(data)
        assert pixels.shape == (48, 40, 3)
        assert notes == ('several frames or pages: only the first one is shown',)


@pytest.mark.parametrize('kind', [np.float32, np.int32, np.int16])
def test_values_without_a_scale_are_refused(kind):
    data = cv2.imencode('.tif', np.full((4, 4), -7, kind))[1].tobytes()
    with pytest.raises(
        UndecodableError, match='nothing in the file says which values are black and white'
    ):
        decode_photo(data)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'of an unknown type'),
        (b'text', 'of an unknown type'),
        (encoded(PHOTO, 'PNG')[:40], 'a part of it is longer than the file'),
    ],
    ids=['empty', 'text', 'cut off'],
)
def test_no_image(data, message):
    with pytest.raises(UndecodableError, match=message):
        decode_photo(data)


def test_jpeg_may_be_smaller():
    data = encoded(Image.fromarray(PHOTO).resize((400, 480)), 'JPEG', exif=EXIF)
    sides = [400, 200, 101, 100, 51, 50, 1]
    shapes = [decode_photo(data, least_side=side)[0].shape[0] for side in sides]
    assert shapes == [400, 200, 200, 100, 100, 50, 50]
