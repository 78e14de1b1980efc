"""Zeros inside a JPEG file are found; complete files are never reported as damaged."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets.image_check import image_problem
from vit_plugins.datasets.zeroed_jpeg import zeroed_place

rng = np.random.default_rng(0)
SMOOTH = cv2.resize(rng.integers(0, 255, (9, 12, 3), np.uint8), (640, 480), interpolation=2)
PICTURES = {
    'photo': np.clip(SMOOTH + rng.normal(0, 9, SMOOTH.shape), 0, 255).astype(np.uint8),
    'smooth': SMOOTH,
    'noise': rng.integers(0, 255, (300, 400, 3), np.uint8),
    'plain': np.full((300, 400, 3), 255, np.uint8),
    'black': np.zeros((300, 400, 3), np.uint8),
    'grey': SMOOTH[..., 0],
}


def encoded(name, **settings):
    stream = BytesIO()
    Image.fromarray(PICTURES[name]).save(stream, 'JPEG', **settings)
    return stream.getvalue()


@pytest.mark.parametrize('quality', [5, 75, 100])
@pytest.mark.parametrize('name', PICTURES)
def test_whole_files(name, quality):
    profile = bytes(3000)  # zeros, but not of the picture
    for settings in ({}, {'optimize': True}, {'progressive': True}, {'subsampling': 0}):
        data = encoded(name, quality=quality, icc_profile=profile, **settings)
        assert zeroed_place(data) is None
        assert zeroed_place(data + bytes(4096)) is None  # filled up behind its end


@pytest.mark.parametrize('share', [0.2, 0.5, 0.9])
@pytest.mark.parametrize('name', ['photo', 'noise', 'grey'])
def test_zeros_inside(name, share, tmp_path):
    data = bytearray(encoded(name, quality=90))
    start = int(len(data) * share)
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    assert abs(zeroed_place(bytes(data)) - start) < 9  # zeros of the picture may stand before
    path = tmp_path / 'a.jpg'
    path.write_bytes(data)
    assert 'damaged: zeros from byte' in image_problem(path)


def test_zeros_to_the_end():
    data = encoded('photo')
    half = len(data) // 2
    assert abs(zeroed_place(data[:half] + bytes(half)) - half) < 9


@pytest.mark.parametrize(
    'data', [b'', b'\xff\xd8\xff', bytes(200), b'\xff\xd8\xff\xc4\x00' + bytes(99)]
)
def test_what_is_no_file(data):
    assert zeroed_place(data) is None
