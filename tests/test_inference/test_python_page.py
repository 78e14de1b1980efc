"""Every example of docs/python.md runs, at tiny size."""

import re

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins.inference.gallery import Gallery, Photo, Source
from vit_plugins.inference.model_settings import settings_of
from vit_plugins.inference.search import Searcher
from vit_plugins.resources import resource_root

PAGE = resource_root() / 'docs' / 'python.md'


@pytest.fixture
def place(tmp_path, config, monkeypatch):
    """Write a training, photos and a gallery at the paths of the page."""
    (tmp_path / 'work_dirs/photos').mkdir(parents=True)
    (tmp_path / 'photos').mkdir()
    cfg = config(3)
    cfg.dump(tmp_path / 'work_dirs/photos/recipe.py')
    checkpoint = tmp_path / 'work_dirs/photos/epoch_1.pth'
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, checkpoint)
    rng = np.random.default_rng(0)
    for name in 'abcde':
        image = Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8))
        image.save(tmp_path / f'photos/{name}.jpg')
    (tmp_path / 'photos/broken.png').write_text('no image')
    gallery = Gallery(tmp_path / 'my_gallery', Source.of(checkpoint), settings=settings_of(cfg))
    searcher = Searcher(gallery, device='cpu')
    files = [str(tmp_path / f'photos/{name}.jpg') for name in 'abcde']
    found = [vector for _, vector in searcher.describer.describe(files)]
    gallery.add([Photo.of(file) for file in files], np.stack(found))
    gallery.save()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples(place, capsys):
    names = {}
    for code in re.findall(r'```python\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.S):
        exec(compile(code, str(PAGE), 'exec'), names)
    assert names['probabilities'].shape[0] == names['features'].shape[0] == 5
    first, second, third = names['answers']
    assert second.classes == third.classes != first.classes
    told = capsys.readouterr().out
    assert 'photos/broken.png: not an image' in told
    assert len(re.findall(r'photos/[b-e]\.jpg -?[01]\.\d+', told)) >= 3  # what a.jpg found


def test_a_searcher_takes_pixels_too(place):
    searcher = Searcher('my_gallery', device='cpu')
    answers = searcher([Image.open('photos/c.jpg'), 'photos/c.jpg', 'photos/broken.png'], top_k=2)
    assert answers[0].found[0].path == str(place / 'photos/c.jpg')
    assert answers[0].found[0].similarity == pytest.approx(1, abs=1e-5)
    assert answers[1].found[0].path != str(place / 'photos/c.jpg')  # a query is not its answer
    assert answers[2].found == ()
    assert answers[2].problem
    with pytest.raises(ValueError, match='top_k must be 1 or more, got 0'):
        searcher('photos/c.jpg', top_k=0)
    searcher.gallery.settings = None
    with pytest.raises(
        ValueError, match='my_gallery holds no settings of a model: name a config with --config'
    ):
        Searcher(searcher.gallery)
