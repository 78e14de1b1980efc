import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from vit_plugins.datasets.transforms.crop_to_box import crop_to_box

IMAGE = np.random.default_rng(0).integers(0, 256, (10, 16, 3), np.uint8)


@pytest.mark.parametrize(
    'box', [(1, 2, 9, 7), (0.5, 1.5, 8.5, 9.5), (2.49, 0.51, 15.6, 9.6), (0, 0, 16, 10)]
)
def test_equals_pillow(box):
    assert np.array_equal(crop_to_box(IMAGE, box), np.asarray(Image.fromarray(IMAGE).crop(box)))


def test_beyond_the_image_is_left_out():
    assert np.array_equal(crop_to_box(IMAGE, (-3, -2, 4, 99)), IMAGE[:, :4])


@pytest.mark.parametrize('box', [(16, 0, 20, 5), (-9, 0, -1, 5), (3, 3, 3.2, 9), (5, 5, 2, 9)])
def test_empty_box(box):
    with pytest.raises(ValueError, match='contains no pixel of the image of 16 x 10'):
        crop_to_box(IMAGE, box)


def test_transform_takes_the_box_away():
    transform = TRANSFORMS.build({'type': 'CropToBox'})
    results = {'img': IMAGE, 'crop_box': (1, 2, 9, 7), 'ori_shape': (10, 16)}
    results = transform(results)
    assert results['img_shape'] == results['ori_shape'] == (5, 8)
    assert 'crop_box' not in results
    assert transform(results)['img'] is results['img']
    assert repr(transform) == "CropToBox(key='crop_box')"


def test_error_names_the_image():
    transform = TRANSFORMS.build({'type': 'CropToBox', 'key': 'bbx'})
    with pytest.raises(ValueError, match=r'a\.jpg: the box \(20, 0, 30, 5\)'):
        transform({'img': IMAGE, 'bbx': (20, 0, 30, 5), 'img_path': 'a.jpg'})
