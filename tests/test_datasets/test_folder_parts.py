import pytest

from vit_plugins.datasets.folder_parts import find_parts, find_unlabelled
from vit_plugins.datasets.folder_scan import FolderError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


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


def test_parts_without_class_folders(tmp_path):
    touch(tmp_path, 'train/cat/1.jpg', 'train/dog/1.jpg', 'Test/1.jpg', 'val/@eaDir/1.jpg')
    assert find_parts(tmp_path) == {'train': tmp_path / 'train'}
    assert find_unlabelled(tmp_path) == {'test': tmp_path / 'Test', 'val': tmp_path / 'val'}
    assert find_unlabelled(tmp_path / 'train') == {}


def test_what_this_package_wrote_beside_the_parts_is_no_class(tmp_path):
    touch(tmp_path, 'train/cat/1.jpg', 'train/dog/1.jpg', 'run1/run.lock')
    assert find_parts(tmp_path) == {'train': tmp_path / 'train'}
