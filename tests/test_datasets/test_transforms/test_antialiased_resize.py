import warnings

import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets.transforms._antialiased_resize import BACKENDS, antialiased_resize

SHAPES = [((375, 500), (224, 298)), ((256, 256), (224, 224)), ((60, 40), (336, 224))]


def pillow(img, shape):
    return np.array(Image.fromarray(img).resize(shape[::-1], Image.Resampling.BICUBIC))


@pytest.mark.parametrize(('source', 'target'), SHAPES)
def test_torch_is_close_to_pillow(picture, apart, source, target):
    img = picture(*source)
    largest, mean = apart(antialiased_resize(img, target), pillow(img, target))
    assert largest <= 2
    assert mean <= 0.01


@pytest.mark.parametrize(('source', 'target'), SHAPES)
def test_pillow_is_pillow(picture, source, target):
    img = picture(*source)
    ours = antialiased_resize(img, target, 'pillow')
    np.testing.assert_array_equal(ours, pillow(img, target))


def test_cv2_is_further_away_but_not_aliased(natural, apart):
    img = natural(375, 500)
    mean = apart(antialiased_resize(img, (224, 298), 'cv2'), pillow(img, (224, 298)))[1]
    assert 0.1 < mean < 2  # the specification measures 1.41, and 5.09 for cv2's bicubic


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_every_backend_takes_every_image(natural, backend, channels):
    img = natural(40, 60)[:, :, 0] if not channels else natural(40, 60)[:, :, : channels[0]]
    img = np.ascontiguousarray(img)
    img.flags.writeable = False
    for shape in ((20, 30), (40, 90), (1, 1)):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            resized = antialiased_resize(img, shape, backend)
        assert resized.shape == (*shape, *channels)
        assert resized.flags.c_contiguous
        assert resized.flags.writeable
    assert antialiased_resize(img, (40, 60), backend) is img


@pytest.mark.parametrize('backend', BACKENDS)
def test_rows_may_lie_apart(natural, apart, backend):
    img = natural(64, 64)
    part = img[3:50, 5:60]
    whole = np.ascontiguousarray(part)
    ours = antialiased_resize(part, (20, 25), backend)
    np.testing.assert_array_equal(ours, antialiased_resize(whole, (20, 25), backend))


def test_unknown_backend():
    with pytest.raises(ValueError, match="one of torch, pillow, cv2, got 'PIL'"):
        antialiased_resize(np.zeros((2, 2), np.uint8), (1, 1), 'PIL')
