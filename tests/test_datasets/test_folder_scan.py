from pathlib import Path

import pytest

from vit_plugins.datasets.folder_scan import (
    FolderError,
    compare_classes,
    find_parts,
    list_images,
    scan_class_folders,
)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_classes_are_the_sorted_folders(tmp_path):
    touch(tmp_path, 'dog/1.jpg', 'cat/2.PNG', 'cat/1.jpeg', 'Änne/ß ☃.webp')
    scan = scan_class_folders(tmp_path)
    assert scan.classes == ('cat', 'dog', 'Änne')
    assert scan.samples == (
        ('cat/1.jpeg', 0),
        ('cat/2.PNG', 0),
        ('dog/1.jpg', 1),
        ('Änne/ß ☃.webp', 2),
    )
    assert scan.counts() == [2, 1, 1]
    assert not scan.skipped


def test_folders_within_class_folders_belong_to_the_class(tmp_path):
    touch(tmp_path, 'cat/2023/may/1.jpg', 'cat/1.jpg', 'dog/a b/1.jpg')
    assert [path for path, _ in scan_class_folders(tmp_path).samples] == [
        'cat/1.jpg',
        'cat/2023/may/1.jpg',
        'dog/a b/1.jpg',
    ]


def test_what_is_no_image_is_counted_by_suffix(tmp_path):
    touch(tmp_path, 'cat/1.jpg', 'cat/a.txt', 'cat/b.TXT', 'cat/README', 'cat/.DS_Store')
    touch(tmp_path, 'dog/1.jpg', 'dog/clip.mp4', 'notes.txt', '.git/x.jpg', '__MACOSX/cat/1.jpg')
    (tmp_path / 'dog/gone.jpg').symlink_to(tmp_path / 'nowhere')
    scan = scan_class_folders(tmp_path)
    assert scan.classes == ('cat', 'dog')
    assert scan.skipped == {
        '.txt': 3,
        '(no suffix)': 1,
        '(hidden)': 1,
        '.mp4': 1,
        '(broken link)': 1,
    }


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    touch(tmp_path, 'store/1.jpg', 'set/dog/1.jpg')
    (tmp_path / 'set/cat').symlink_to(tmp_path / 'store')
    (tmp_path / 'store/up').symlink_to(tmp_path / 'set')
    (tmp_path / 'store/again').symlink_to(tmp_path / 'store')
    images, _ = list_images(tmp_path / 'set/cat')
    assert images == ['1.jpg', 'up/dog/1.jpg']


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([], 'holds no class folders'),
        (['1.jpg'], 'holds no class folders'),
        (['cat/1.jpg'], "one class only, 'cat'"),
        (['cat/1.jpg', 'dog/1.gif', 'dog/2.gif'], r"no image in 1 .*'dog' \(2 .gif in it\)"),
        (['cat/1.jpg', 'dog/.keep', 'owl/.keep'], r"no image in 2 .*'dog' \(1 \(hidden\)"),
    ],
)
def test_refused_folders(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(FolderError, match=message):
        scan_class_folders(tmp_path)


def test_parts(tmp_path):
    touch(tmp_path, 'a/cat/1.jpg')
    assert find_parts(tmp_path / 'a') == {'train': tmp_path / 'a'}
    touch(tmp_path, 'b/Train/cat/1.jpg', 'b/valid/cat/1.jpg', 'b/meta/x.txt', 'b/test/cat/1.jpg')
    assert find_parts(tmp_path / 'b') == {
        'train': tmp_path / 'b/Train',
        'val': tmp_path / 'b/valid',
        'test': tmp_path / 'b/test',
    }


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, 'train/1.jpg', 'bus/1.jpg')
    assert find_parts(tmp_path) == {'train': tmp_path}


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['train/steam/1.jpg', 'bus/1.jpg'], 'beside it, bus: if train is the training part'),
        (['test/cat/1.jpg', 'val/cat/1.jpg'], 'holds test, val but no train folder'),
    ],
)
def test_unclear_parts(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(FolderError, match=message):
        find_parts(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(FolderError, match='nowhere is not a folder'):
        find_parts(tmp_path / 'nowhere')


def test_class_difference_is_named():
    compare_classes(['a', 'b'], ['b', 'a'], 'val')
    with pytest.raises(
        FolderError, match=r"val differ .* lacks 'b' and has, unknown .*, 'c', 'd'"
    ):
        compare_classes(['a', 'b'], ['a', 'c', 'd'], 'val')
