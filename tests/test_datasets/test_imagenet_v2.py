import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError


@pytest.fixture
def root(tmp_path):
    for label in ('0', '1', '10', '2', '999'):
        (tmp_path / label).mkdir()
        (tmp_path / label / f'image_of_{label}.jpeg').touch()
    return tmp_path


def build(root, kind='ImageNetV2', **kwargs):
    return DATASETS.build(
        {'type': kind, 'data_root': str(root), 'serialize_data': False, **kwargs}
    )


def test_folders_are_labels(root):
    dataset = build(root, check_counts=False)
    assert dataset.get_gt_labels().tolist() == [0, 1, 2, 10, 999]
    for i in range(5):
        info = dataset.get_data_info(i)
        assert info['img_path'].endswith(f'image_of_{info["gt_label"]}.jpeg')
    assert dataset.CLASSES[10].startswith('brambling')
    assert dataset.test_mode
    # what class folders of the host make of it: the reason for this class
    assert build(root, 'CustomDataset').get_gt_labels().tolist() == [0, 1, 2, 3, 4]


def test_numbers_are_the_published_ones(root):
    with pytest.raises(AnnotationError, match='5 images instead of 10,000 and 5 classes instead'):
        build(root)


@pytest.mark.parametrize('name', ['1000', '007', 'n01440764', '-1', '٣'])
def test_other_folders_are_refused(root, name):
    (root / name).mkdir()
    with pytest.raises(AnnotationError, match=f'named 0 to 999 by class number, got {name!r}'):
        build(root)
