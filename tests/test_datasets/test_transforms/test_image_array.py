import numpy as np
import pytest

from vit_plugins.datasets.transforms._image_array import check_image, lay_out


@pytest.mark.parametrize('shape', [(1, 1), (4, 5, 1), (4, 5, 3)])
def test_images_pass(shape):
    check_image(np.zeros(shape, np.uint8), 'It')


@pytest.mark.parametrize(
    ('img', 'got'),
    [
        (np.zeros((2, 2, 3), np.float32), 'float32'),
        (np.zeros((2, 2), bool), 'bool'),
        ('photo.jpg', 'str'),
    ],
)
def test_other_types_are_refused(img, got):
    with pytest.raises(TypeError, match=f'It takes .* uint8, got {got}; in the pipeline'):
        check_image(img, 'It')


@pytest.mark.parametrize('shape', [(4,), (4, 4, 2), (4, 4, 4), (0, 4, 3), (1, 4, 4, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r'It takes .* \(H, W\), \(H, W, 1\) or \(H, W, 3\), got'):
        check_image(np.zeros(shape, np.uint8), 'It')


VIEWS = {
    'as it is': lambda x: x,
    'mirrored': lambda x: x[:, ::-1],
    'upside down': lambda x: x[::-1],
    'turned': lambda x: x[::-1, ::-1],
    'every second': lambda x: x[::2, ::2],
    'every second, mirrored': lambda x: x[::-2, ::-2],
    'part': lambda x: x[1:, 1:],
    'part, mirrored': lambda x: x[1:, 1:][:, ::-1],
    'transposed': lambda x: x.swapaxes(0, 1),
    'planes': lambda x: np.asfortranarray(x),
    'other order of channels': lambda x: x[..., ::-1],
}


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('shape', [(6, 7), (6, 7, 1), (6, 7, 3), (3, 3, 3)])
def test_any_view_is_laid_out(view, shape):
    img = VIEWS[view](np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    img.flags.writeable = False
    laid = lay_out(img)
    np.testing.assert_array_equal(laid, img)
    assert min(laid.strides) > 0
    assert laid.strides[1:] == ((1,) if img.ndim == 2 else (img.shape[2], 1))


def test_nothing_is_copied_without_need():
    img = np.zeros((4, 5, 3), np.uint8)
    assert lay_out(img) is img
    assert lay_out(img[1:, 1:]).base is img
