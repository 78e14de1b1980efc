"""The list of the photos of a training, and the photos that it excludes from a test."""

import os

import pytest

from vit_plugins.datasets.folder_scan import scan_class_folders
from vit_plugins.datasets.image_folder import ImageFolder
from vit_plugins.datasets.trained_photos import (
    find_seen,
    list_photos,
    read_trained_photos,
    trained_photos_beside,
    write_trained_photos,
)
from vit_plugins.datasets.unfit_data import UnfitDataError


@pytest.fixture
def folder(tmp_path):
    """Write two classes of ten files each, of different sizes; no test decodes them."""
    for label, name in enumerate(('cat', 'dog')):
        (tmp_path / 'd' / name).mkdir(parents=True)
        for i in range(10):
            (tmp_path / 'd' / name / f'{i}, ö.jpg').write_bytes(bytes(10 * label + i + 1))
    return tmp_path / 'd'


def names(dataset):
    return {dataset.get_data_info(i)['img_path'].split('/d/')[-1] for i in range(len(dataset))}


@pytest.fixture
def table(folder, tmp_path):
    photos = list_photos(ImageFolder(str(folder), part='train'), folder)
    write_trained_photos(tmp_path / 't.csv', photos)
    return tmp_path / 't.csv'


def test_the_table_holds_the_photos_of_the_training(folder, table):
    photos = read_trained_photos(table)
    assert {name for name, _, _ in photos} == names(ImageFolder(str(folder), part='train'))
    assert all(size == (folder / name).stat().st_size for name, size, _ in photos)


def test_photos_of_one_name_and_size_are_told_apart_by_their_middle(folder, table):
    scan = scan_class_folders(folder)
    name = scan.samples[min(find_seen(table, scan))][0]
    content = bytes(60_000)
    (folder / name).write_bytes(content)
    write_trained_photos(table, list_photos(ImageFolder(str(folder), part='train'), folder))
    before = find_seen(table, scan)
    assert name in {scan.samples[i][0] for i in before}
    (folder / name).write_bytes(content[:30_000] + b'x' + content[30_001:])
    assert {scan.samples[i][0] for i in before - find_seen(table, scan)} == {name}


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no named pipes')
def test_a_pipe_is_listed_without_waiting(folder):
    (folder / 'cat' / '3, ö.jpg').unlink()
    dataset = ImageFolder(str(folder))
    (folder / 'cat' / '4, ö.jpg').unlink()
    os.mkfifo(folder / 'cat' / '4, ö.jpg')
    assert ('cat/4, ö.jpg', -1, 0) in list_photos(dataset, folder)


def test_names_are_below_the_folder_however_it_is_named(folder, monkeypatch):
    dataset = ImageFolder(str(folder))
    found = list_photos(dataset, folder)
    assert {name for name, _, _ in found} == {
        name for name, _ in scan_class_folders(folder).samples
    }
    monkeypatch.chdir(folder.parent)
    assert list_photos(dataset, 'd/') == list_photos(ImageFolder('d'), 'd') == found


def test_the_table_of_a_model_is_beside_it(folder, tmp_path):
    assert trained_photos_beside(tmp_path / 'a.pth') is None
    write_trained_photos(tmp_path / 'trained_on.csv', [])
    assert trained_photos_beside(str(tmp_path / 'a.pth')) == tmp_path / 'trained_on.csv'
    assert trained_photos_beside(None) is trained_photos_beside('https://x.org/a.pth') is None


def test_another_photo_of_the_same_name_is_not_taken_for_it(folder, table):
    listed = sorted(name for name, _, _ in read_trained_photos(table))

    def seen():
        scan = scan_class_folders(folder)
        return {scan.samples[i][0] for i in find_seen(table, scan)}

    assert seen() == set(listed)
    (folder / listed[3]).write_bytes(bytes(99))
    (folder / listed[5]).unlink()
    assert seen() == set(listed) - {listed[3], listed[5]}


def test_other_photos_of_a_group_count_as_seen(folder, table):
    scan = scan_class_folders(folder)
    seen = find_seen(table, scan)
    first = min(set(range(20)) - seen)
    groups = ['a' if i in (first, min(seen)) else f'{i}' for i in range(20)]
    assert find_seen(table, scan.grouped(groups)) == seen | {first}


def test_photos_that_were_trained_on_are_never_held_out(folder, table):
    before = {part: names(ImageFolder(str(folder), part=part)) for part in ('train', 'val')}
    for name in ('cat', 'dog'):
        for i in range(30):
            (folder / name / f'new{i}.jpg').write_bytes(bytes(200 + i))
    split = {part: names(ImageFolder(str(folder), part=part)) for part in ('train', 'val')}
    moved = split['val'] & before['train']
    assert moved  # else this test shows nothing
    kept = {
        part: names(ImageFolder(str(folder), part=part, trained_on=str(table)))
        for part in ('train', 'val', 'all')
    }
    assert kept['train'] == split['train'] | before['train']
    assert kept['val'] == split['val'] - moved
    assert kept['all'] == (split['train'] | split['val']) - before['train']


def test_nothing_left_and_damaged_tables_are_told(folder, table, tmp_path):
    write_trained_photos(table, list_photos(ImageFolder(str(folder)), folder))
    with pytest.raises(UnfitDataError, match=r'All 20 images of .* were trained on'):
        ImageFolder(str(folder), trained_on=str(table))
    for text in ('', 'file\n', 'file,bytes\ncat/0.jpg,1\n', 'file,bytes,crc\ncat/0.jpg,many,2\n'):
        table.write_text(text)
        with pytest.raises(UnfitDataError, match=r't\.csv, the list of the photos'):
            read_trained_photos(table)
    with pytest.raises(UnfitDataError, match=r'absent\.csv, the list'):
        read_trained_photos(tmp_path / 'absent.csv')
