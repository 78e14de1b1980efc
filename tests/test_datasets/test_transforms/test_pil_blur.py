import numpy as np
import pytest
from PIL import Image, ImageFilter

from vit_plugins.datasets.transforms._pil_blur import blur_kernel, box_kernel, pil_blur

RADII = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.4, 1.42, 1.7, 2.0)


def variance(kernel):
    offsets = np.arange(len(kernel)) - (len(kernel) - 1) / 2
    return (kernel * offsets**2).sum()


@pytest.mark.parametrize('radius', [*RADII, 5.0, 30.0])
def test_three_boxes_have_the_variance_of_the_radius(radius):
    assert 3 * variance(box_kernel(radius)) == pytest.approx(radius**2)


@pytest.mark.parametrize(('radius', 'taps'), [(1.0, 3), (1.41, 3), (1.42, 5), (2.0, 5)])
def test_box_widens_where_the_specification_says(radius, taps):
    assert len(box_kernel(radius)) == taps


@pytest.mark.parametrize(('radius', 'taps'), [(0.1, 3), (2.0, 11), (10.0, 51), (300.0, 1529)])
def test_kernel_is_symmetric_short_and_sums_to_one(radius, taps):
    kernel = blur_kernel(radius)
    assert len(kernel) == taps
    np.testing.assert_allclose(kernel, kernel[::-1])
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert variance(kernel) == pytest.approx(radius**2, rel=0.05, abs=0.01)


@pytest.mark.parametrize('radius', RADII)
def test_close_to_pillow(picture, apart, radius):
    img = picture()
    theirs = np.array(Image.fromarray(img).filter(ImageFilter.GaussianBlur(radius)))
    ours = pil_blur(img, radius)
    assert apart(ours, theirs)[1] <= 0.9
    inside = slice(8, -8)
    assert apart(ours[inside, inside], theirs[inside, inside])[0] <= 3


def test_a_sampled_gaussian_would_not_pass(natural, apart):
    """The Gaussian blur of OpenCV hardly blurs at small radii."""
    cv2 = pytest.importorskip('cv2')
    img = natural()
    theirs = np.array(Image.fromarray(img).filter(ImageFilter.GaussianBlur(0.3)))
    sampled = cv2.GaussianBlur(img, (0, 0), 0.3, borderType=cv2.BORDER_REPLICATE)
    assert apart(sampled, theirs)[1] > 0.9


def test_nothing_changes_without_a_radius_or_structure(natural):
    img = natural(32, 32)
    assert pil_blur(img, 0) is img
    for shape in ((1, 1), (1, 1, 3), (3, 50, 3)):
        np.testing.assert_array_equal(pil_blur(np.full(shape, 77, np.uint8), 2.0), 77)
