"""Images as in the measurements of the specification, and the difference of two images."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _numpy_seed():
    np.random.seed(0)  # noqa: NPY002  (the stream that transforms draw from)


@pytest.fixture
def smooth():
    """Return an RGB image of few, soft, saturated blobs."""

    def make(height=224, width=224, seed=0):
        cells = np.random.default_rng(seed).integers(0, 256, (18, 18, 3), dtype=np.uint8)
        return np.array(Image.fromarray(cells).resize((width, height), Image.BICUBIC))

    return make


@pytest.fixture
def natural():
    """Return an RGB image whose spectrum falls like that of photos, 1 / f^1.15."""

    def make(height=224, width=224, seed=0):
        rng = np.random.default_rng(seed)
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
        frequency[0, 0] = 1
        noise = np.fft.fft2(rng.normal(size=(3, height, width))) / frequency**1.15
        levels = np.fft.ifft2(noise).real.transpose(1, 2, 0)
        levels = 128 + 50 * (levels - levels.mean((0, 1))) / levels.std((0, 1))
        return np.ascontiguousarray(levels.clip(0, 255).astype(np.uint8))

    return make


@pytest.fixture(params=['smooth', 'natural'])
def picture(request):
    """Return a function that makes an image, for each of the two types."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def apart():
    """Return the largest and the mean absolute difference of two images in grey levels."""

    def compare(one, other):
        assert one.shape == other.shape
        difference = np.abs(one.astype(int) - other.astype(int))
        return difference.max(), difference.mean()

    return compare
