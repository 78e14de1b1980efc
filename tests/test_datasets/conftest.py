from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = {'blue': (30, 60, 220), 'green': (60, 220, 30), 'red': (220, 30, 60)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def photos(tmp_path) -> Callable[..., Path]:
    """Make a tree of class folders: ``photos('train', blue=5, red=2)``."""

    def make(part: str = '', suffix: str = '.png', **counts: int) -> Path:
        for name, count in counts.items():
            folder = tmp_path / 'photos' / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = np.full((24 + 8 * (i % 3), 40, 3), COLOURS.get(name, (9, 9, 9)), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i:02d}{suffix}')
        return tmp_path / 'photos'

    return make
