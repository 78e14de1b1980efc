"""The list of the photos of a training, and what it keeps out of a test."""

import pytest

from vit_plugins.datasets.folder_scan import scan_class_folders
from vit_plugins.datasets.image_folder import ImageFolder
from vit_plugins.datasets.trained_photos import (
    find_seen,
    read_trained_photos,
    write_trained_photos,
)
from vit_plugins.datasets.unfit_data import UnfitDataError


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten files each, of another size each; nothing decodes them here."""
    for label, name in enumerate(('cat', 'dog')):
        (tmp_path / 'd' / name).mkdir(parents=True)
        for i in range(10):
            (tmp_path / 'd' / name / f'{i}, ö.jpg').write_bytes(bytes(10 * label + i + 1))
    return tmp_path / 'd'


def names(dataset):
    return {dataset.get_data_info(i)['img_path'].split('/d/')[-1] for i in range(len(dataset))}


@pytest.fixture
def table(folder, tmp_path):
    write_trained_photos(tmp_path / 't.csv', ImageFolder(str(folder), part='train'), folder)
    return tmp_path / 't.csv'


def test_the_table_holds_the_photos_of_the_training(folder, table):
    photos = read_trained_photos(table)
    assert {name for name, _ in photos} == names(ImageFolder(str(folder), part='train'))
    assert all(size == (folder / name).stat().st_size for name, size in photos)


def test_another_photo_of_the_same_name_is_not_taken_for_it(folder, table):
    listed = sorted(name for name, _ in read_trained_photos(table))

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
    write_trained_photos(table, ImageFolder(str(folder)), folder)
    with pytest.raises(UnfitDataError, match=r'All 20 images of .* were trained on'):
        ImageFolder(str(folder), trained_on=str(table))
    for text in ('', 'file\n', 'file,bytes\ncat/0.jpg,many\n'):
        table.write_text(text)
        with pytest.raises(UnfitDataError, match=r't\.csv, the list of the photos'):
            read_trained_photos(table)
    with pytest.raises(UnfitDataError, match=r'absent\.csv, the list'):
        read_trained_photos(tmp_path / 'absent.csv')
