import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError

TRAIN = b"""\
image_id class_id super_class_id path
1 1 1 bicycle_final/111085122871_0.JPG
2 1 1 bicycle_final/111085122871_1.JPG
3 4 12 toaster_final/231556214500_0.JPG
"""
TEST = b"""\
image_id class_id super_class_id path
59552 11319 1 bicycle_final/251952414262_0.JPG
59553 11320 1 bicycle_final/251953084250_0.JPG
"""


@pytest.fixture
def root(tmp_path):
    for name, content in (('train', TRAIN), ('test', TEST)):
        (tmp_path / f'Ebay_{name}.txt').write_bytes(content)
        for line in content.decode().splitlines()[1:]:
            image = tmp_path / line.split()[3]
            image.parent.mkdir(exist_ok=True)
            image.touch()
    return tmp_path


def build(root, **kwargs):
    # serialization collects garbage, half a second each
    kwargs = {'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'StanfordOnlineProducts', 'data_root': str(root), **kwargs})


def test_images_and_labels(root):
    train, test = build(root), build(root, split='test')
    assert train.get_gt_labels().tolist() == [0, 0, 1]
    assert train.get_data_info(2)['img_path'] == str(root / 'toaster_final/231556214500_0.JPG')
    assert test.get_gt_labels().tolist() == [0, 1]
    assert 'role' not in test.get_data_info(0)  # each is searched among the others
    assert (train.test_mode, test.test_mode) == (False, True)
    assert 'Split: \ttest' in repr(test)


def test_numbers_are_those_of_the_paper(root):
    message = '3 images instead of 59,551 and 2 classes instead of 11,318'
    with pytest.raises(AnnotationError, match=message):
        build(root, check_counts=True)
    with pytest.raises(AnnotationError, match='60,502 and 2 classes instead of 11,316'):
        build(root, split='test', check_counts=True)


def test_missing_image_is_named(root):
    (root / 'toaster_final/231556214500_0.JPG').unlink()
    with pytest.raises(AnnotationError, match=r'1 of the 3 images .*231556214500_0\.JPG'):
        build(root)


def test_broken_row_is_named(root):
    (root / 'Ebay_train.txt').write_bytes(TRAIN.replace(b'3 4 12', b'3 four 12'))
    with pytest.raises(AnnotationError, match=r"Ebay_train.txt, line 4: 'four' is not a number"):
        build(root)


def test_missing_list_is_named(root):
    (root / 'Ebay_test.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'Ebay_test\.txt'):
        build(root, split='test')


def test_unknown_split(root):
    with pytest.raises(ValueError, match="train, test, got 'val'"):
        build(root, split='val')
