import os
from pathlib import Path

import pytest

from vit_plugins.datasets.folder_scan import (
    FolderError,
    compare_classes,
    describe_skipped,
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
        '.git/': 1,
        '__MACOSX/': 1,
    }


@pytest.mark.parametrize('name', ['@eaDir', 'lost+found', '.AppleDouble', '$RECYCLE.BIN'])
def test_system_folders_are_no_classes_and_their_thumbnails_no_images(tmp_path, name):
    touch(tmp_path, 'cat/1.jpg', 'dog/1.jpg', f'{name}/1.jpg', f'cat/{name}/1.jpg/thumb.jpg')
    touch(tmp_path, 'cat/Thumbs.db', '1.jpg')
    scan = scan_class_folders(tmp_path)
    assert scan.samples == (('cat/1.jpg', 0), ('dog/1.jpg', 1))
    assert scan.skipped == {f'{name}/': 2, 'Thumbs.db': 1, '.jpg beside the class folders': 1}
    assert f'2 {name}/' in describe_skipped(tmp_path, scan.skipped)


def test_report_says_what_to_do_with_pictures_of_other_kinds(tmp_path):
    touch(tmp_path, 'a.HEIC', 'b.heic', 'c.jfif', 'd.gif', 'e.txt', 'f.jpg')
    images, skipped = list_images(tmp_path)
    assert images == ['f.jpg']
    line = describe_skipped(tmp_path, skipped)
    assert line.startswith(f'skipped in {tmp_path}: 2 .heic, 1 ')
    assert line.endswith('.gif, .heic, .jfif are not read: save these pictures as .jpg or .png')
    assert describe_skipped(tmp_path, {}) == ''
    assert 'save' not in describe_skipped(tmp_path, {'.txt': 1})


def test_class_name_that_no_log_can_show_is_refused(tmp_path):
    touch(tmp_path, 'cat/1.jpg', os.fsdecode(b'caf\xe9') + '/1.jpg')
    with pytest.raises(FolderError, match=r'caf.udce9 is not UTF-8, or holds .*: rename it'):
        scan_class_folders(tmp_path)
    touch(tmp_path / 'b', 'cat/1.jpg', 'me\u200cow/1.jpg')  # Persian words hold such a character
    assert len(scan_class_folders(tmp_path / 'b').classes) == 2


def test_part_that_is_measured_on_may_lack_classes(tmp_path):
    touch(tmp_path, 'dog/1.jpg', 'cat/notes.txt')
    scan = scan_class_folders(tmp_path, complete=False)
    assert (scan.classes, scan.samples) == (('dog',), (('dog/1.jpg', 0),))
    (tmp_path / 'dog/1.jpg').unlink()
    with pytest.raises(FolderError, match='no image in 2'):
        scan_class_folders(tmp_path, complete=False)
    compare_classes(['a', 'b'], ['b'], 'val', complete=False)
    with pytest.raises(FolderError, match="has, unknown in training, 'c'"):
        compare_classes(['a', 'b'], ['b', 'c'], 'val', complete=False)


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


def test_class_difference_is_named():
    compare_classes(['a', 'b'], ['b', 'a'], 'val')
    with pytest.raises(
        FolderError, match=r"val differ .* lacks 'b' and has, unknown .*, 'c', 'd'"
    ):
        compare_classes(['a', 'b'], ['a', 'c', 'd'], 'val')


def test_what_this_package_wrote_beside_the_photos_is_no_class(tmp_path):
    touch(tmp_path, 'cat/1.jpg', 'dog/1.jpg', 'work_dirs/job/curve.png', 'dog/found/query.png')
    touch(tmp_path, 'run1/run.lock', 'run1/curve.png', 'mine/gallery.json')
    touch(tmp_path, 'dog/found/index.html', 'dog/found/results.json')
    scan = scan_class_folders(tmp_path)
    assert scan.classes == ('cat', 'dog')
    assert [name for name, _ in scan.samples] == ['cat/1.jpg', 'dog/1.jpg']
    assert {k for k in scan.skipped if k[-1] == '/'} == {'found/', 'mine/', 'run1/', 'work_dirs/'}
