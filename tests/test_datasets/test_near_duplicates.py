import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets.near_duplicates import difference_hash, near_pairs


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(3)]
    paths = []
    for i, image in enumerate(small):
        paths.append(tmp_path / f'{i}.png')
        image.resize((96, 96), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def test_a_resized_and_recompressed_copy_is_near(photos, tmp_path):
    copy = tmp_path / 'copy.jpg'
    Image.open(photos[1]).resize((70, 70)).save(copy, quality=70)
    assert near_pairs([photos[0], copy], photos[1:]) == [(1, 0)]
    assert near_pairs([photos[0]], photos[1:]) == []


def test_plain_and_broken_pictures_are_near_nothing(tmp_path):
    plain, broken = tmp_path / 'plain.png', tmp_path / 'broken.png'
    Image.new('RGB', (20, 20), 'red').save(plain)
    broken.write_bytes(b'no image')
    assert difference_hash(plain) is None
    assert near_pairs([plain, broken], [plain, broken]) == []


def test_bits_say_where_it_becomes_brighter(tmp_path):
    ramp = np.tile(np.arange(17, dtype=np.uint8) * 15, (16, 1))
    Image.fromarray(ramp).save(tmp_path / 'r.png')
    assert (difference_hash(tmp_path / 'r.png') == 255).all()
    Image.fromarray(ramp[:, ::-1].copy()).save(tmp_path / 'l.png')
    assert (difference_hash(tmp_path / 'l.png') == 0).all()
