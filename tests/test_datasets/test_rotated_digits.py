import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from vit_plugins.datasets.digits import load_digits, split_indices
from vit_plugins.datasets.rotated_digits import CLASSES, split_classes

# written down when the split was made: a change would void every number in the README
TEST_CLASSES = [
    *['0 at 180', '0 at 270', '1 at 0', '1 at 90', '2 at 270', '2 at 90', '3 at 0', '3 at 180'],
    *['4 at 270', '5 at 0', '5 at 180', '6 at 90', '7 at 0', '8 at 90', '9 at 0', '9 at 270'],
]


def build(split, **kwargs):
    dataset = {'type': 'RotatedDigits', 'split': split, 'serialize_data': False, **kwargs}
    return DATASETS.build(dataset)


def test_classes_are_disjoint_and_fixed():
    parts = split_classes()
    assert parts['test'] == TEST_CLASSES
    assert sorted(parts['trainval'] + parts['test']) == sorted(CLASSES)
    assert sorted(parts['train'] + parts['val']) == parts['trainval']
    assert split_classes(1)['test'] != TEST_CLASSES


@pytest.mark.parametrize(('split', 'count'), [('train', 16), ('val', 8), ('test', 16)])
def test_images_are_the_digits_of_that_split_turned(split, count):
    dataset = build(split)
    images, digits = load_digits()
    allowed = {images[i].tobytes(): digits[i] for i in split_indices(digits, split)}
    for index in range(0, len(dataset), 7):
        info = dataset.get_data_info(index)
        digit, turn = dataset.CLASSES[info['gt_label']].split(' at ')
        assert info['img'].dtype == np.uint8
        upright = np.rot90(info['img'], -int(turn) // 90)
        assert allowed[upright.tobytes()] == int(digit)
    assert set(dataset.get_gt_labels()) == set(range(count))


def test_pipeline_takes_the_arrays():
    pipeline = [{'type': 'Resize', 'scale': (16, 16)}, {'type': 'PackInputs'}]
    dataset = build('test', pipeline=pipeline)
    assert dataset[0]['inputs'].shape == (3, 16, 16)
    assert dataset.test_mode
    assert 'Split: \ttest (seed 0)' in repr(dataset)


def test_unknown_split():
    with pytest.raises(ValueError, match="train, val, trainval, test, got 'query'"):
        build('query')
