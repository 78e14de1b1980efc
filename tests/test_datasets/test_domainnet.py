import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError
from vit_plugins.datasets.domainnet import PUBLISHED

TRAIN = b"""\
painting/aircraft_carrier/painting_001_000001.jpg 0
painting/aircraft_carrier/painting_001_000002.jpg 0
painting/alarm_clock/painting_003_000007.jpg 2
"""
# as in the cleaned lists of painting, either half lacks a class
TEST = b"""\
painting/airplane/painting_002_000003.jpg 1
painting/alarm_clock/painting_003_000009.jpg 2
"""


@pytest.fixture
def root(tmp_path):
    for split, content in (('train', TRAIN), ('test', TEST)):
        (tmp_path / f'painting_{split}.txt').write_bytes(content)
        for line in content.decode().splitlines():
            image = tmp_path / line.split()[0]
            image.parent.mkdir(parents=True, exist_ok=True)
            image.touch()
    return tmp_path


def build(root, **kwargs):
    kwargs = {'domain': 'painting', 'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'DomainNet', 'data_root': str(root), **kwargs})


def test_images_labels_and_names(root):
    train, test = build(root), build(root, split='test')
    assert train.get_gt_labels().tolist() == [0, 0, 2]
    assert test.get_gt_labels().tolist() == [1, 2]
    path = root / 'painting/alarm_clock/painting_003_000007.jpg'
    assert train.get_data_info(2)['img_path'] == str(path)
    assert train.CLASSES == test.CLASSES == ('aircraft_carrier', 'airplane', 'alarm_clock')
    assert (train.test_mode, test.test_mode) == (False, True)
    assert 'Domain: \tpainting' in repr(train)


def test_numbers_are_those_of_the_paper(root):
    """DRLoc, Table 1a: 586,575 images in six domains."""
    assert [sum(column) for column in zip(*PUBLISHED.values(), strict=True)] == [409_832, 176_743]
    message = '3 images instead of 50,416 and 3 classes instead of 345'
    with pytest.raises(AnnotationError, match=message):
        build(root, check_counts=True)
    with pytest.raises(AnnotationError, match='2 images instead of 21,850'):
        build(root, split='test', check_counts=True)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (
            b'alarm_clock/painting_003_000007.jpg 2',
            b'axe/painting_003_000007.jpg 2',
            "3 was expected, got 2 for 'axe'",
        ),
        (b'000007.jpg 2', b'000007.jpg 3', "'alarm_clock' two labels, 2 and 3"),
        (b'000007.jpg 2', b'000007.jpg 9', "3 was expected, got 9 for 'alarm_clock'"),
        (b'000007.jpg 2', b'000007.jpg two', "line 3: 'two' is not a number"),
        (b'000007.jpg 2', b'000007.jpg', 'line 3: 2 columns are expected'),
        (b'000002.jpg', b'000004.jpg', r'1 of the 3 images .*painting_001_000004\.jpg'),
    ],
)
def test_broken_list_is_named(root, old, new, message):
    (root / 'painting_train.txt').write_bytes(TRAIN.replace(old, new))
    with pytest.raises(AnnotationError, match=message):
        build(root)


def test_missing_half_domain_and_split(root):
    with pytest.raises(ValueError, match=r"clipart, infograph, .*, got 'clip'"):
        build(root, domain='clip')
    with pytest.raises(ValueError, match="train, test, got 'val'"):
        build(root, split='val')
    (root / 'painting_test.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'painting_test\.txt'):
        build(root)
