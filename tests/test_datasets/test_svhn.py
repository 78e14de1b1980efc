import hashlib

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from vit_plugins.config_edits.data_root import apply_data_root, is_retrieval
from vit_plugins.config_edits.presence import MissingDataError, require_data
from vit_plugins.datasets._annotations import AnnotationError
from vit_plugins.datasets.svhn import PUBLISHED

# MAT-File Format, The MathWorks, chapter 1 (version 5), little endian, written down by hand:
# X, uint8 of shape (2, 1, 3, 3), the first index moving fastest, and y, uint8 of shape (3, 1).
HEADER = b'MATLAB 5.0 MAT-file, Platform: GLNXA64'.ljust(116) + b'\0' * 8 + b'\x00\x01IM'
X = (
    b'\x0e\0\0\0\x50\0\0\0'  # miMATRIX of 80 bytes
    b'\x06\0\0\0\x08\0\0\0\x09\0\0\0\0\0\0\0'  # flags: mxUINT8
    b'\x05\0\0\0\x10\0\0\0\x02\0\0\0\x01\0\0\0\x03\0\0\0\x03\0\0\0'  # dimensions
    b'\x01\0\x01\0X\0\0\0'  # name
    b'\x02\0\0\0\x12\0\0\0'  # 18 bytes, filled up to 24
    b'\x00\x01\x14\x15\x28\x29'  # image 0: red 0, 1; green 20, 21; blue 40, 41
    b'\x3c\x3d\x50\x51\x64\x65'  # image 1: 60, 61; 80, 81; 100, 101
    b'\x78\x79\x8c\x8d\xa0\xa1'  # image 2: 120, 121; 140, 141; 160, 161
    b'\0\0\0\0\0\0'
)
Y = (
    b'\x0e\0\0\0\x30\0\0\0\x06\0\0\0\x08\0\0\0\x09\0\0\0\0\0\0\0'
    b'\x05\0\0\0\x08\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x01\0y\0\0\0'
    b'\x02\0\x03\0\x0a\x01\x09\0'  # 10, 1, 9
)
FILE = HEADER + X + Y


@pytest.fixture
def root(tmp_path):
    for split in ('train', 'test', 'extra'):
        (tmp_path / f'{split}_32x32.mat').write_bytes(FILE)
    return tmp_path


def build(root, **kwargs):
    kwargs = {'check_md5': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'SVHN', 'data_root': str(root), **kwargs})


@pytest.mark.parametrize('split', ['train', 'test', 'extra'])
def test_images_and_labels(root, split):
    dataset = build(root, split=split)
    assert dataset.get_gt_labels().tolist() == [0, 1, 9]  # 10 stands for 0
    assert ''.join(dataset.CLASSES) == '0123456789'
    images = [dataset.get_data_info(i)['img'] for i in range(3)]
    assert {(image.shape, image.dtype) for image in images} == {((2, 1, 3), np.dtype('uint8'))}
    assert images[0].tolist() == [[[0, 20, 40]], [[1, 21, 41]]]
    assert images[2].tolist() == [[[120, 140, 160]], [[121, 141, 161]]]
    assert dataset.test_mode == (split == 'test')
    assert f'Split: \t{split}' in repr(dataset)


def test_as_torchvision_reads_it(root, monkeypatch):
    theirs = pytest.importorskip('torchvision.datasets').SVHN
    assert {name: entry[2] for name, entry in theirs.split_list.items()} == PUBLISHED
    entry = ['', 'test_32x32.mat', hashlib.md5(FILE).hexdigest()]
    monkeypatch.setattr(theirs, 'split_list', {'test': entry})
    expected, found = theirs(str(root), split='test'), build(root, split='test')
    assert len(found) == len(expected)
    for i, (image, label) in enumerate(expected):
        info = found.get_data_info(i)
        assert (info['img'] == np.asarray(image)).all()
        assert info['gt_label'] == label


def test_only_the_published_file(root):
    message = f'test_32x32.mat has the md5 {hashlib.md5(FILE).hexdigest()} instead of eb5a983b'
    with pytest.raises(AnnotationError, match=message):
        build(root, split='test', check_md5=True)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (FILE[:-60], 'not a complete MAT-file of version 5 with X and y'),
        (b'<html>', 'not a complete MAT-file of version 5'),
        (HEADER + X, "not a complete MAT-file of version 5 with X and y .KeyError: 'y'"),
        (FILE.replace(b'\x0a\x01\x09', b'\x0a\x01\x0b'), r'labels must lie within 1..10, got .11'),
        (FILE.replace(b'\x0a\x01\x09', b'\x00\x01\x09'), r'labels must lie within 1..10, got .0'),
        (
            FILE.replace(b'\x02\0\0\0\x01\0\0\0\x03', b'\x03\0\0\0\x01\0\0\0\x02'),
            r'shape \(H, W, 3, 3\), as y has 3 labels; got uint8 of shape \(3, 1, 2, 3\)',
        ),
    ],
)
def test_broken_file_is_named(root, content, message):
    (root / 'train_32x32.mat').write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        build(root)


def test_missing_file_and_split(root):
    (root / 'extra_32x32.mat').unlink()
    with pytest.raises(FileNotFoundError, match=r'extra_32x32\.mat'):
        build(root, split='extra')
    with pytest.raises(ValueError, match="train, test, extra, got 'val'"):
        build(root, split='val')


def config(**kwargs):
    dataset = {'type': 'SVHN', 'data_root': 'none', 'check_md5': False, **kwargs}
    pipeline = [{'type': 'Resize', 'scale': 8}, {'type': 'PackInputs'}]
    loader = {'batch_size': 1, 'dataset': {**dataset, 'pipeline': pipeline}}
    parts = {f'{part}_dataloader': loader for part in ('train', 'val', 'test')}
    head = {'type': 'LinearClsHead', 'num_classes': 10, 'in_channels': 8}
    model = {'type': 'ImageClassifier', 'backbone': {'type': 'LeNet5'}, 'head': head}
    return Config({**parts, 'model': model})


def test_absent_data_come_with_their_place_and_checksum(tmp_path):
    with pytest.raises(MissingDataError, match=r'housenumbers/.*train e26dedcc'):
        require_data(config())
    with pytest.raises(MissingDataError, match=r'SVHN lacks .*train_32x32\.mat'):
        require_data(config(data_root=str(tmp_path)))


def test_data_root_takes_its_files_or_class_folders(root, photos):
    assert not is_retrieval(config())
    own = apply_data_root(config(), root)
    assert {own[f'{part}_dataloader'].dataset.data_root for part in ('train', 'val', 'test')} == {
        str(root)
    }
    assert own.train_dataloader.dataset.type == 'SVHN'
    folders = photos(blue=4, red=4)
    other = apply_data_root(config(), folders)
    assert other.train_dataloader.dataset.type == 'ImageFolder'
    assert other.model.head.num_classes == 2
