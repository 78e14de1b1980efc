import os

import numpy as np
import pytest
from PIL import Image, ImageFile

from vit_plugins.datasets import image_check
from vit_plugins.datasets.folder_scan import FolderError
from vit_plugins.datasets.image_check import (
    ImageReport,
    cache_file,
    check_images,
    image_problem,
    require_readable,
)

NOISE = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)


@pytest.mark.parametrize('size', [(1, 1), (7, 3), (48, 64)])
@pytest.mark.parametrize(
    ('suffix', 'modes'),
    [
        ('.png', ['RGB', 'RGBA', 'L', 'LA', 'P', '1', 'I;16']),
        ('.jpg', ['RGB', 'L', 'CMYK']),
        ('.tif', ['RGB', 'RGBA', 'L', 'P', '1', 'I;16']),
        ('.webp', ['RGB', 'RGBA']),
        ('.bmp', ['RGB', 'L', 'P', '1']),
        ('.ppm', ['RGB']),
        ('.pgm', ['L']),
    ],
)
def test_good_images_of_all_kinds(tmp_path, suffix, modes, size):
    for mode in modes:
        image = Image.fromarray(NOISE).resize(size)
        image = image.convert('I').convert('I;16') if mode == 'I;16' else image.convert(mode)
        image.save(tmp_path / f'{mode}{suffix}')
        assert image_problem(tmp_path / f'{mode}{suffix}') is None, mode


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE).save(tmp_path / 'x.jpg', exif=exif)
    assert image_problem(tmp_path / 'x.jpg') is None


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_truncated(tmp_path, suffix):
    Image.fromarray(NOISE).save(tmp_path / f'x{suffix}')
    data = (tmp_path / f'x{suffix}').read_bytes()
    (tmp_path / f'x{suffix}').write_bytes(data[: len(data) * 2 // 3])
    assert 'truncated' in image_problem(tmp_path / f'x{suffix}')


def test_other_reasons(tmp_path):
    (tmp_path / 'text.jpg').write_text('no image')
    (tmp_path / 'empty.jpg').touch()
    assert image_problem(tmp_path / 'text.jpg') == 'not an image, or of an unknown kind'
    assert image_problem(tmp_path / 'empty.jpg') == 'the file is empty'
    assert 'No such file' in image_problem(tmp_path / 'absent.jpg')


def test_what_is_shown_otherwise_is_counted_and_remembered(photos, monkeypatch, capsys):
    root = photos(blue=3)
    names = [f'blue/{i:02d}.png' for i in range(3)]
    Image.new('RGBA', (9, 9), (255, 0, 0, 90)).save(root / names[1])
    Image.fromarray(np.full((9, 9), 4000, np.uint16)).save(root / names[2])
    Image.new('CMYK', (9, 9)).save(root / 'blue/ink.jpg')
    names.append('blue/ink.jpg')
    for _ in range(2):
        require_readable(root, names)
        told = capsys.readouterr().out
        assert '1 image(s) with transparent parts: shown on white (blue/01.png)' in told
        assert '1 image(s) with 16 bits a channel, 12 of them in use: shown in 8 bits (' in told
        assert '1 image(s) with CMYK colours: shown without their printing profile (' in told
        assert '00.png' not in told
        monkeypatch.setattr(image_check, 'inspect_image', lambda path: pytest.fail('read again'))


def test_file_names_need_not_be_utf8(photos):
    root = photos(blue=1)
    name = os.fsdecode(b'blue/caf\xe9.png')
    (root / 'blue/00.png').rename(root / name)
    assert check_images(root, [name]) == []
    (root / name).write_text('text')
    with pytest.raises(FolderError, match=r'blue/caf.udce9.png: not an image'):
        require_readable(root, [name])


def test_readable_images_are_read_once(tmp_path, photos, monkeypatch):
    root = photos(blue=3)
    names = [f'blue/{i:02d}.png' for i in range(3)]
    read = []

    def inspect(path, limits):
        read.append(path.name)
        return ImageReport()

    monkeypatch.setattr(image_check, 'inspect_image', inspect)
    assert check_images(root, names) == []
    assert sorted(read) == ['00.png', '01.png', '02.png']
    assert cache_file(root).is_relative_to(os.environ['XDG_CACHE_HOME'])
    check_images(root, names)
    assert len(read) == 3
    os.utime(root / names[1], (1, 1))  # changed since
    check_images(root, names)
    assert [read[-1], len(read)] == ['01.png', 4]


def test_unreadable_images_are_read_again(photos):
    root = photos(blue=2)
    good = (root / 'blue/00.png').read_bytes()
    (root / 'blue/00.png').write_bytes(good[:40])
    names = ['blue/00.png', 'blue/01.png']
    assert [name for name, _ in check_images(root, names)] == ['blue/00.png']
    assert [name for name, _ in check_images(root, names)] == ['blue/00.png']
    (root / 'blue/00.png').write_bytes(good)
    assert check_images(root, names) == []


def test_damaged_or_forbidden_cache_is_no_obstacle(photos, monkeypatch, tmp_path):
    root = photos(blue=1)
    cache_file(root).parent.mkdir(parents=True)
    cache_file(root).write_text('{"blue')
    assert check_images(root, ['blue/00.png']) == []
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert check_images(root, ['blue/00.png']) == []


def test_progress_on_request_only(photos, capsys):
    root = photos(blue=2)
    check_images(root, ['blue/00.png'], progress=False)
    assert capsys.readouterr().err == ''
    check_images(root, ['blue/00.png', 'blue/01.png'], progress=True)
    assert 'Reading the images' in capsys.readouterr().err


def test_message_names_the_images(photos):
    root = photos(blue=30)
    for path in (root / 'blue').iterdir():
        path.write_text('text')
    names = [f'blue/{i:02d}.png' for i in range(30)]
    with pytest.raises(FolderError, match=r'30 unreadable') as error:
        require_readable(root, names)
    assert '  blue/00.png: not an image' in str(error.value)
    assert str(error.value).endswith('and 10 more')


def test_an_error_of_any_kind_is_a_problem_of_the_image(tmp_path, monkeypatch):
    Image.new('RGB', (4, 4)).save(tmp_path / 'x.png')

    def fail(*_):
        raise TypeError('Missing dimensions')

    monkeypatch.setattr(Image.Image, 'load', fail)
    assert image_problem(tmp_path / 'x.png') == 'Missing dimensions'


@pytest.mark.parametrize('behind', [b'', b'\0' * 40, b'made by a camera'])
def test_a_jpeg_with_its_end_mark_is_decoded_once(tmp_path, monkeypatch, behind):
    Image.fromarray(NOISE).save(tmp_path / 'x.jpg')
    with (tmp_path / 'x.jpg').open('ab') as file:
        file.write(behind)
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, 'load', lambda image: decoded.append('Pillow'))
    monkeypatch.setattr(
        image_check, 'decode_photo', lambda *a, **k: (decoded.append('OpenCV'), ())
    )
    for later in (False, True):
        assert image_check.inspect_image(tmp_path / 'x.jpg', decodes_later=later) == ImageReport()
    assert decoded == ['OpenCV']
