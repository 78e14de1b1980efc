import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError
from vit_plugins.datasets.imagenet100 import IMAGENET_LABELS, WORDNET_IDS

META = b"""\
ILSVRC2012_val_00000001.JPEG 65
ILSVRC2012_val_00000002.JPEG 994
ILSVRC2012_val_00000003.JPEG 15
"""


@pytest.fixture
def root(tmp_path):
    for name in (*WORDNET_IDS, 'n01440764'):  # tench is none of the hundred
        folder = tmp_path / 'train' / name
        folder.mkdir(parents=True)
        (folder / f'{name}_4.JPEG').touch()
    (tmp_path / 'train/n01558993/n01558993_10.JPEG').touch()
    return tmp_path


def build(root, **kwargs):
    kwargs = {'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'ImageNet100', 'data_root': str(root), **kwargs})


def test_classes_are_where_timm_has_them():
    synsets = pytest.importorskip('timm.data').ImageNetInfo('imagenet-1k')._synsets
    assert len(set(WORDNET_IDS)) == 100
    assert list(WORDNET_IDS) == sorted(WORDNET_IDS)
    assert [synsets[label] for label in IMAGENET_LABELS] == list(WORDNET_IDS)


def test_class_folders(root):
    dataset = build(root)
    assert dataset.get_gt_labels().tolist() == [0, 0, *range(1, 100)]
    names = [dataset.get_data_info(i)['img_path'] for i in (0, 1, 100)]
    assert names == [
        str(root / 'train' / name)
        for name in (
            'n01558993/n01558993_10.JPEG',
            'n01558993/n01558993_4.JPEG',
            'n13040303/n13040303_4.JPEG',
        )
    ]
    assert len(dataset.CLASSES) == 100
    assert dataset.CLASSES[0].startswith('robin')
    assert (dataset.test_mode, build(root, split='train').test_mode) == (False, False)


def test_flat_validation_part_with_its_list(root):
    (root / 'meta').mkdir()
    (root / 'meta/val.txt').write_bytes(META)
    (root / 'val').mkdir()
    for line in META.decode().splitlines():
        (root / 'val' / line.split()[0]).touch()
    dataset = build(root, split='val')
    assert dataset.get_gt_labels().tolist() == [99, 0]  # 994 and 15; 65 is another class
    assert dataset.get_data_info(1)['img_path'] == str(root / 'val/ILSVRC2012_val_00000003.JPEG')
    assert dataset.test_mode
    (root / 'val/ILSVRC2012_val_00000003.JPEG').unlink()
    with pytest.raises(AnnotationError, match='1 of the 2 images'):
        build(root, split='val')
    (root / 'meta/val.txt').write_bytes(META.replace(b'994', b'n13040303'))
    with pytest.raises(AnnotationError, match="line 2: 'n13040303' is not a number"):
        build(root, split='val')


def test_numbers_are_those_of_the_paper(root):
    with pytest.raises(AnnotationError, match='101 images instead of 126,689'):
        build(root, check_counts=True)
    (root / 'train').rename(root / 'val')
    with pytest.raises(AnnotationError, match='101 images instead of 5,000'):
        build(root, split='val', check_counts=True)


def test_missing_class_and_split(root):
    (root / 'train/n01558993/n01558993_4.JPEG').rename(root / 'a.JPEG')
    (root / 'train/n01558993/n01558993_10.JPEG').unlink()
    (root / 'train/n01558993').rmdir()
    with pytest.raises(AnnotationError, match=r'lacks the folders of 1 of the 100 .*n01558993'):
        build(root)
    with pytest.raises(ValueError, match="train, val, got 'test'"):
        build(root, split='test')
