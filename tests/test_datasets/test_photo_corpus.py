"""The corpus of odd photo files through the scan of a folder, the check, and the readers."""

import os
import re

import corpus
import pytest

from vit_plugins.datasets.folder_scan import FolderError, list_images
from vit_plugins.datasets.image_check import check_images, inspect_image, require_readable
from vit_plugins.datasets.near_duplicates import difference_hash
from vit_plugins.datasets.photo_decoding import UndecodableError, decode_photo
from vit_plugins.datasets.photo_file import PhotoFileError, read_photo_file
from vit_plugins.datasets.transforms import LoadPhoto

pytestmark = pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('corpus') / 'photos'


@pytest.fixture(scope='module')
def files(folder):
    return corpus.write_corpus(folder)


def test_a_scan_lists_every_photo_once(folder, files):
    names, skipped = list_images(folder)
    assert names == sorted(file.name for file in files if file.is_listed)
    links = skipped.pop('(broken link)')
    assert (links, skipped.pop('(no file)', 1), skipped.pop('(hidden)')) == (2, 1, 1)
    assert set(skipped) == {'.gif'}


def test_the_check_and_the_loader_say_the_same(folder, files):
    load = LoadPhoto()
    for file in files:
        path = folder / file.name
        problem = inspect_image(path).problem
        if not file.why:
            assert problem is None, file
            assert load({'img_path': path})['img'].shape[2] == 3
            continue
        assert re.search(file.why, problem), (file, problem)
        with pytest.raises((UndecodableError, PhotoFileError)) as error:
            load({'img_path': str(path)})
        assert str(error.value).startswith(str(path)), file
        difference_hash(path)  # raises nothing


def test_a_folder_is_refused_or_used_without_the_bad_files(folder, files, capsys):
    names = [file.name for file in files if file.is_listed]
    bad = [file.name for file in files if file.is_listed and file.why]
    with pytest.raises(FolderError, match=f'{len(bad)} unreadable image') as error:
        require_readable(folder, names, progress=False)
    assert f'and {len(bad) - 20} more' in str(error.value)
    assert require_readable(folder, names, skip=True, progress=False) == bad
    for _ in range(2):  # from the disk, and from what is remembered
        reports = check_images(folder, names, progress=False)
        assert [name for name, report in reports if report.problem] == bad


@pytest.mark.parametrize('becomes', ['absent', 'a pipe', 'a folder', 'cut', 'a link to itself'])
def test_what_happens_between_check_and_use(tmp_path, becomes):
    path = tmp_path / 'x.jpg'
    data = corpus.encoded(corpus.picture(), 'JPEG')
    path.write_bytes(data)
    assert inspect_image(path).problem is None
    path.unlink()
    if becomes == 'a pipe':
        os.mkfifo(path)
    elif becomes == 'a folder':
        path.mkdir()
    elif becomes == 'cut':
        path.write_bytes(data[:-200])
    elif becomes == 'a link to itself':
        path.symlink_to(path)
    with pytest.raises((PhotoFileError, UndecodableError), match=r'x\.jpg cannot be'):
        LoadPhoto()({'img_path': str(path)})


def test_a_jpeg_is_refused_whatever_the_decoder_makes_of_it(monkeypatch):
    """OpenCV 4 fills the missing part of a file that ends too early with grey."""
    monkeypatch.setattr('cv2.imdecode', lambda *_: pytest.fail('the decoder was asked'))
    data = corpus.encoded(corpus.picture(), 'JPEG')
    with pytest.raises(UndecodableError, match='truncated'):
        decode_photo(data[:-200])


def test_an_end_mark_in_a_preview_is_not_the_end():
    data = corpus.encoded(corpus.picture(), 'JPEG')
    preview = corpus.encoded(corpus.picture(1, (16, 16)), 'JPEG')
    size = (len(preview) + 2).to_bytes(2, 'big')
    data = data[:2] + b'\xff\xe2' + size + preview + data[2:]
    decode_photo(data)
    with pytest.raises(UndecodableError, match='truncated'):
        decode_photo(data[:-200])


def test_devices_are_not_read(tmp_path):
    for path in ('/dev/zero', tmp_path, f'{tmp_path}/a\0b'):
        with pytest.raises(PhotoFileError, match='cannot be read: '):
            read_photo_file(path)
