"""Every published pair of recipe and dataset exists and has the settings that its name states."""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from statistics import mean
from unittest import mock

import pytest
from mmengine.config import Config

from vit_plugins.config_edits import dataset_by_name as data
from vit_plugins.config_edits.dataset_by_name import apply_data, class_count
from vit_plugins.config_edits.fraction import use_fraction
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.recipes.published import fill_published, pairs, published, results_of
from vit_plugins.resources import resource_root

ROOT = resource_root()
PAIRS = list(pairs())
NAMED = re.compile(
    r'_(?:ft-)?(?P<devices>\d+)xb(?P<batch>\d+)(?:-(?P<length>\d+)(?P<unit>[ek]?))?(?=[_-]|$)'
)


@cache
def _read(recipe):
    return Config.fromfile(ROOT / recipe)


@pytest.fixture(scope='module', autouse=True)
def _datasets_read_once():
    with mock.patch.object(data, 'read_config_file', cache(read_config_file)):
        yield


def config_of(recipe, name, fraction):
    cfg = apply_data(deepcopy(_read(recipe)), name)
    return cfg if fraction is None else use_fraction(cfg, fraction)


@pytest.mark.parametrize('group', published())
def test_every_pair_merges_and_says_what_its_name_says(group):
    found = [pair for pair in PAIRS if pair[0].split('/')[1] == group]
    assert found
    for recipe, name, fraction, number in found:
        cfg = config_of(recipe, name, fraction)
        assert 0 < float(number.split()[0]) < 100
        if cfg.train_dataloader is None:  # evaluated as it comes
            continue
        named = NAMED.search(Path(recipe).stem)
        batch, length = int(named['batch']), int(named['length'] or 0)
        assert cfg.train_dataloader.batch_size == batch
        if group != 'retrieval':
            assert cfg.auto_scale_lr.base_batch_size == int(named['devices']) * batch
        if named['unit'] == 'k':
            assert cfg.train_cfg.max_iters == 1000 * length
        elif named['unit'] == 'e' and 'max_epochs' in cfg.train_cfg:  # the ViT paper counts steps
            assert cfg.train_cfg.max_epochs == length
        if fraction:
            assert cfg.train_cfg.max_epochs == round(300 / fraction)
        if name in facts(group):
            assert class_count(cfg) == cfg.data_preprocessor.num_classes == facts(group)[name]


def facts(group):
    """Return the number of classes of each dataset of the table."""
    return {name: int(sizes[2]) for name, sizes in (published()[group].get('data') or {}).items()}


def test_the_mean_gain_of_swin_is_the_papers():
    """15.6 points on average over the ten datasets without ImageNet-100: no number is wrong."""
    results = [results_of(f'drloc/swin-tiny{x}_8xb128-100e.py') for x in ('', '-drloc')]
    gains = [float(results[1][key]) - float(results[0][key]) for key in results[0]]
    assert mean(gains[1:]) == pytest.approx(15.6, abs=0.05)


def test_the_relative_gaps_of_convit_are_the_papers():
    """Table 2 states them, too, from 5 to 100 % of the images: no number of it is wrong."""
    convit, deit = (results_of(f'convit/{net}-small_8xb128_in1k.py') for net in ('convit', 'deit'))
    rows = [f'imagenet@{fraction}' for fraction in (0.05, 0.1, 0.3, 0.5, 1)]
    gaps = [100 * (float(convit[row]) / float(deit[row]) - 1) for row in rows]
    assert gaps == pytest.approx([37, 24, 12, 5, 2], abs=0.51)
    assert (convit['imagenet'], deit['imagenet']) == ('81.3', '79.8')  # Table 1


def test_headers_say_what_the_table_says():
    for recipe in sorted({pair[0] for pair in PAIRS}):
        header = re.match(r'(?:#.*\n)*', (ROOT / recipe).read_text())[0]
        known = {number.split()[0] for number in results_of(recipe).values()}
        told = re.findall(r'(\d+\.\d+) %', header)
        assert set(told) <= known, recipe


@pytest.mark.parametrize('page', sorted((ROOT / 'configs').glob('*/README.md')), ids=str)
def test_the_readmes_hold_the_table(page):
    text = page.read_text(encoding='utf-8')
    assert fill_published(text, page.parent.name) == text, 'run python tools/evidence.py'
