import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError

IMAGES = b"""\
1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
2 001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg
5864 100.Brown_Pelican/Brown_Pelican_0134_94220.jpg
5865 101.White_Pelican/White_Pelican_0087_96098.jpg
11788 200.Common_Yellowthroat/Common_Yellowthroat_0055_190967.jpg
"""
LABELS = b'1 1\n2 1\n5864 100\n5865 101\n11788 200\n'
# of classification: it must not matter, nor need be there
CLASSIFICATION = b'1 0\n2 1\n5864 0\n5865 1\n11788 0\n'


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images.txt').write_bytes(IMAGES)
    (tmp_path / 'image_class_labels.txt').write_bytes(LABELS)
    (tmp_path / 'train_test_split.txt').write_bytes(CLASSIFICATION)
    for line in IMAGES.decode().splitlines():
        image = tmp_path / 'images' / line.split()[1]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    return tmp_path


def build(root, **kwargs):
    # serialization collects garbage, half a second each
    kwargs = {'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'CUBRetrieval', 'data_root': str(root), **kwargs})


def test_classes_1_to_100_and_101_to_200(root):
    train, test = build(root), build(root, split='test')
    assert train.get_gt_labels().tolist() == [0, 0, 99]
    assert test.get_gt_labels().tolist() == [0, 99]
    expected = root / 'images/101.White_Pelican/White_Pelican_0087_96098.jpg'
    assert test.get_data_info(0)['img_path'] == str(expected)


def test_the_split_for_classification_is_not_read(root):
    before = build(root).get_gt_labels().tolist()
    (root / 'train_test_split.txt').unlink()
    assert build(root).get_gt_labels().tolist() == before


def test_order_of_the_second_list_is_free(root):
    lines = LABELS.splitlines(keepends=True)
    (root / 'image_class_labels.txt').write_bytes(b''.join(lines[::-1]))
    assert build(root).get_gt_labels().tolist() == [0, 0, 99]


def test_numbers_are_those_of_the_paper(root):
    with pytest.raises(AnnotationError, match='3 images instead of 5,864 and 2 classes instead'):
        build(root, check_counts=True)
    with pytest.raises(AnnotationError, match='2 images instead of 5,924'):
        build(root, split='test', check_counts=True)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('image_class_labels.txt', b'1 1\n2 x\n', r"labels.txt, line 2: 'x' is not a number"),
        ('image_class_labels.txt', b'1 1\n2 201\n', 'list different images: 3 are only in one'),
        ('image_class_labels.txt', LABELS.replace(b'101', b'201'), 'line 4: classes go from 1 to'),
        ('image_class_labels.txt', b'1 1\n1 2\n', 'line 2: image 1 is listed a second time'),
        ('images.txt', IMAGES + b'11789\n', 'images.txt, line 6: 2 columns are expected'),
        ('images.txt', IMAGES + b'one a.jpg\n', "images.txt, line 6: 'one' is not a number"),
    ],
)
def test_broken_list(root, name, content, message):
    (root / name).write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        build(root)


def test_missing_things_are_named(root):
    next((root / 'images').rglob('Brown*.jpg')).unlink()
    with pytest.raises(AnnotationError, match=r'1 of the 3 images .*Brown_Pelican_0134'):
        build(root)
    (root / 'image_class_labels.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'image_class_labels\.txt'):
        build(root)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="train, test, got 'val'"):
        build(root, split='val')
