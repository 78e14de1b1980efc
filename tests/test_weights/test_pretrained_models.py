"""The table of pre-trained networks for photos agrees with the model index."""

import pytest
from mmengine.config import Config
from mmpretrain import ModelHub, list_models

from vit_plugins.recipes.pretrained_table import fill_pretrained
from vit_plugins.resources import resource_root
from vit_plugins.weights import pretrained_models as table

ROWS = table.pretrained_models()
INDEXED = [name for name in ROWS if not name.startswith('timm/')]


@pytest.mark.parametrize('name', INDEXED)
def test_a_row_says_what_the_index_says(name):
    row, found = ROWS[name], ModelHub.get(name)
    assert found.weights
    assert row.parameters == found.metadata.parameters
    published = [result.metrics['Top 1 Accuracy'] for result in found.results or []]
    assert [row.top1] == published if row.source == 'index' else 'https://' in row.source


def test_names_that_the_index_lacks_say_where_the_file_is():
    assert all(ROWS[name].address for name in ROWS if name not in INDEXED)
    assert set(INDEXED) <= set(list_models())


@pytest.mark.parametrize('recipe', ['photos', 'photos-frozen'])
def test_recipes_start_from_a_row_that_suits_them(recipe):
    cfg = Config.fromfile(resource_root() / 'configs' / f'{recipe}.py')
    assert cfg.backbone_follows
    assert recipe in ROWS[cfg.default_weights].recipes
    assert cfg.size == ROWS[cfg.default_weights].size
    if recipe == 'photos-frozen':
        assert cfg.default_weights == table.default_for_frozen()


def test_the_default_is_the_most_accurate_of_the_fast(monkeypatch):
    row = dict(licence='', parameters=1, size=1, source='', recipes=('photos-frozen',))
    rows = [('slow', 16, 90), ('fast', 18, 80), ('faster', 90, 70)]
    found = {
        name: table.PretrainedModel(name, photos_per_second=speed, top1=top1, **row)
        for name, speed, top1 in rows
    }
    monkeypatch.setattr(table, 'pretrained_models', lambda: found)
    assert table.default_for_frozen() == 'fast'


def test_the_page_has_the_table():
    page = (resource_root() / 'docs' / 'own_photos.md').read_text(encoding='utf-8')
    assert fill_pretrained(page) == page, 'run python tools/evidence.py'
    assert all(name in page for name in ROWS)


def test_what_is_fetched_is_said_before(monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    note = table.download_note('edgenext-small-usi_3rdparty_in1k')
    assert note.startswith('edgenext-small-usi_3rdparty_in1k, about 22 MB, MIT: fetched once')
    kept = tmp_path / 'hub' / 'checkpoints'
    assert str(kept) in note
    kept.mkdir(parents=True)
    (kept / note.rpartition('/')[2]).touch()
    assert table.download_note('edgenext-small-usi_3rdparty_in1k') is None
    assert table.download_note('some_file.pth') is None
