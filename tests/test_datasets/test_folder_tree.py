"""The listing of a folder: done once while nothing changes, and again after any change."""

import os
import shutil
from pathlib import Path

import pytest

from vit_plugins.datasets import _folder_tree, folder_scan
from vit_plugins.datasets._folder_tree import (
    KEPT_TREES,
    known_trees,
    list_images,
    read_tree,
    remember_trees,
)
from vit_plugins.datasets.folder_scan import scan_class_folders


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def age(root):
    """Set the time of the last change of all folders to long ago."""
    for folder, _, _ in os.walk(root, followlinks=True):
        os.utime(folder, (1e9, 1e9))


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / 'my photos'
    touch(root, 'cat/1.jpg', 'cat/new one/2.jpg', 'dog/1.png', 'dog/notes.txt')
    touch(tmp_path / 'elsewhere', '3.jpg')
    (root / 'dog' / 'link').symlink_to(tmp_path / 'elsewhere')
    age(tmp_path)
    return root


def paths(root):
    return [path for path, _ in scan_class_folders(root).samples]


def test_a_folder_is_listed_once(photos, listed_folders):
    first = scan_class_folders(photos)
    again = scan_class_folders(photos, complete=False)
    relative = scan_class_folders(Path(os.path.relpath(photos)))
    assert first.samples == again.samples == relative.samples
    assert first.classes == ('cat', 'dog')
    assert [path for path, _ in first.samples] == [
        *('cat/1.jpg', 'cat/new one/2.jpg', 'dog/1.png', 'dog/link/3.jpg'),
    ]
    assert first.skipped == again.skipped == {'.txt': 1}
    below = ('', '/cat', '/cat/new one', '/dog', '/dog/link')
    assert listed_folders == {f'{photos}{name}': 1 for name in below}


CHANGES = {
    'a new image': lambda root: touch(root, 'cat/9.jpg'),
    'a new image in a folder below': lambda root: touch(root, 'cat/new one/9.jpg'),
    'a new class': lambda root: touch(root, 'bird/1.jpg'),
    'an image removed': lambda root: (root / 'cat/1.jpg').unlink(),
    'an image renamed': lambda root: (root / 'cat/1.jpg').rename(root / 'cat/01.jpg'),
    'an image behind a link to a folder': lambda root: touch(root.parent, 'elsewhere/9.jpg'),
    'a link to another folder': lambda root: (
        (root / 'dog/link').unlink(),
        (root / 'dog/link').symlink_to(root / 'cat'),
    ),
    'a class replaced by one of the same age': lambda root: (
        shutil.move(root / 'cat', root.parent / 'old cat'),
        touch(root, 'cat/7.jpg'),
        age(root),
    ),
}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(photos, change):
    before = paths(photos)
    change(photos)
    after = paths(photos)
    assert after != before
    expected = [
        f'{folder.name}/{name}'
        for folder in sorted(photos.iterdir())
        for name in list_images(folder)[0]
    ]
    assert after == expected


def test_a_folder_that_changed_just_now_is_listed_again(photos, listed_folders):
    """Its next change could have the same time stamp and stay unnoticed."""
    os.utime(photos / 'cat')
    read_tree(photos)
    read_tree(photos)
    assert listed_folders[f'{photos}/cat'] == 2
    age(photos)
    listed_folders.clear()
    read_tree(photos)
    read_tree(photos)
    assert listed_folders[f'{photos}/cat'] == 1


def test_listings_of_another_process_hold_for_the_same_disk_only(
    photos, listed_folders, monkeypatch
):
    remember_trees({})
    tree = read_tree(photos)
    shared = known_trees()
    assert shared[str(photos)] is tree
    monkeypatch.setattr(_folder_tree, '_trees', {})
    remember_trees(shared)
    listed_folders.clear()
    assert read_tree(photos) is tree
    assert not listed_folders
    copy = shutil.copytree(photos, photos.parent / 'copy')  # as on a node with a disk of its own
    age(copy)
    shutil.rmtree(photos)
    copy.rename(photos)
    assert read_tree(photos).images == tree.images
    assert listed_folders


def test_the_oldest_listing_is_forgotten(tmp_path):
    for number in range(KEPT_TREES + 1):
        touch(tmp_path, f'{number}/a/1.jpg', f'{number}/b/1.jpg')
        read_tree(tmp_path / str(number))
    assert len(known_trees()) == KEPT_TREES
    assert str(tmp_path / '0') not in known_trees()
    assert str(tmp_path / str(KEPT_TREES)) in known_trees()


def test_a_folder_is_split_once(photos, monkeypatch):
    touch(photos, *(f'dog/{i}.jpg' for i in range(20)))
    age(photos)
    calls, split = [], folder_scan.stratified_split

    def counted(*args):
        calls.append(args[2:])
        return split(*args)

    monkeypatch.setattr(folder_scan, 'stratified_split', counted)
    scans = [scan_class_folders(photos, complete=complete) for complete in (True, True, False)]
    train, again, val = (
        scan.part(part, 0.3, 7)
        for scan, part in zip(scans, ('train', 'train', 'val'), strict=True)
    )
    assert train == again
    assert sorted(train + val) == list(range(len(scans[0].samples)))
    assert calls == [(0.3, 7)]
    assert scans[0].part('val', 0.3, 8) != val  # another seed is another split
    assert scans[0].part('all', 0.3, 7) == list(range(len(scans[0].samples)))
    with pytest.raises(ValueError, match='val_fraction=0: no image is held out'):
        scans[0].part('val', 0, 7)
