import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.folder_scan import FolderError

SPLITS = ('train', 'val', 'trainval', 'test')
ANIMALS = ['ape', 'bee', 'cat', 'dog', 'eel', 'fox', 'gnu', 'hen']


@pytest.fixture
def folder(tmp_path):
    """Write class folders with two images each: ``folder(train=['ape'], test=['bee'])``."""

    def make(**parts):
        for part, names in parts.items():
            for name in names:
                (tmp_path / part.strip('_') / name).mkdir(parents=True)
                for i in range(2):
                    (tmp_path / part.strip('_') / name / f'{i}.jpg').touch()
        return tmp_path

    return make


def build(root, split='trainval', **kwargs):
    dataset = {'type': 'RetrievalFolder', 'data_root': str(root), 'split': split, **kwargs}
    return DATASETS.build({**dataset, 'serialize_data': False})


def classes(root, **kwargs):
    return {split: build(root, split, **kwargs).CLASSES for split in SPLITS}


def test_one_folder_is_parted_by_class(folder):
    root = folder(_=ANIMALS)
    found = classes(root)
    assert {split: len(names) for split, names in found.items()} == {
        'train': 3,
        'val': 1,
        'trainval': 4,
        'test': 4,
    }
    assert sorted(found['trainval'] + found['test']) == ANIMALS
    assert sorted(found['train'] + found['val']) == list(found['trainval'])
    assert classes(root) == found
    assert classes(root, seed=1) != found
    assert len(classes(root, test_classes=2, val_classes=3)['train']) == 3


def test_images_that_are_left_out_change_no_split(folder):
    root = folder(train=ANIMALS[:4], test=ANIMALS[4:])
    test = build(root, 'test', left_out=['test/eel/0.jpg', 'train/ape/1.jpg'])
    assert test.CLASSES == build(root, 'test').CLASSES
    assert test.get_gt_labels().tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert len(build(root, left_out=['train/ape/1.jpg'])) == 7
    with pytest.raises(FolderError, match="no image that can be read is left of 'eel'"):
        build(root, 'test', left_out=['test/eel/0.jpg', 'test/eel/1.jpg'])


def test_images_and_labels(folder):
    root = folder(_=ANIMALS)
    test = build(root, 'test')
    assert test.get_gt_labels().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for index in range(8):
        info = test.get_data_info(index)
        path = root / test.CLASSES[info['gt_label']] / f'{index % 2}.jpg'
        assert info['img_path'] == str(path)
    assert 'Split: \ttest (seed 0)' in repr(test)


def test_folders_of_different_classes(folder):
    root = folder(train=ANIMALS[:5], test=ANIMALS[5:])
    found = classes(root, val_classes=2)
    assert found['test'] == tuple(ANIMALS[5:])
    assert found['trainval'] == tuple(ANIMALS[:5])
    assert len(found['val']) == 2
    info = build(root, 'test').get_data_info(0)
    assert info['img_path'] == str(root / 'test/fox/0.jpg')


def test_a_folder_for_validation(folder):
    root = folder(train=ANIMALS[:3], val=ANIMALS[3:5], test=ANIMALS[5:])
    found = classes(root)
    assert found['val'] == tuple(ANIMALS[3:5])
    assert found['trainval'] == tuple(ANIMALS[:5])


def test_shared_class_is_refused(folder):
    root = folder(train=ANIMALS[:4], test=ANIMALS[3:])
    with pytest.raises(FolderError, match=r"class 'dog' is in .*remove it from one of them"):
        build(root)


def test_refusals(folder):
    root = folder(_=ANIMALS)
    with pytest.raises(ValueError, match='of 8 classes, 8 cannot be held out'):
        build(root, test_classes=8)
    with pytest.raises(ValueError, match="train, val, trainval, test, got 'query'"):
        build(root, 'query')
    with pytest.raises(FolderError, match='is not a folder'):
        build(root / 'none')
