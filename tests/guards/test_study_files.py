"""Guards over the study files that come with the package."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from mmpretrain.registry import TRANSFORMS
from read_recipes import read_recipe, shapes_of

from vit_plugins.studies.grid import make_cells, read_study
from vit_plugins.studies.record_file import read_record_file

ROOT = Path(__file__).parents[2]
FILES = [
    path for path in sorted((ROOT / 'configs').rglob('*.yaml')) if 'axes:' in path.read_text()
]


@cache
def cells_of(file):
    """Read a study and return its cells of one seed."""
    study = read_study(file)
    return study, make_cells(replace(study, seeds=study.seeds[:1]))


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_cells_compose_and_their_parts_build(file):
    study, cells = cells_of(file)
    # One seed may choose a setting, by validation images; a comparison takes three.
    assert len(study.seeds) >= (3 if study.measure == 'test' else 1)
    assert f'tools/study.py {file.relative_to(ROOT)}' in file.read_text()
    built = []
    for cell in cells:
        for cfg in cell.stages:
            if cfg.model not in built:
                built.append(cfg.model)
                shapes_of(cfg.model)
            for part in ('train', 'val', 'test'):
                dataset = cfg[f'{part}_dataloader'].dataset
                while 'dataset' in dataset:
                    dataset = dataset.dataset
                [TRANSFORMS.build(step) for step in dataset.pipeline]


BASES = sorted((ROOT / 'configs' / '_base_' / 'studies').glob('*.py'))


@pytest.mark.parametrize('file', BASES, ids=lambda path: path.stem)
def test_bases_are_configs_of_their_own(file):
    """Some are trained first, because cells start from them, and are in no study file."""
    cfg = read_recipe(file)
    assert shapes_of(cfg.model)
    assert cfg.train_cfg


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_what_cells_start_from_is_what_its_config_leaves(file):
    seen = []
    for cell in cells_of(file)[1]:
        backbone = cell.stages[0].model.backbone
        weights = backbone.get('init_cfg', {}).get('checkpoint') or cell.stages[0].load_from
        if not weights or (weights, backbone) in seen:
            continue
        seen.append((weights, backbone))
        if f'--save-vit {weights}' in pre_training(file):  # published weights, no training
            continue
        folder, kind, last = re.fullmatch(
            r'work_dirs/(\w+)/(iter|epoch)_(\d+)\.pth', weights
        ).groups()
        first = read_recipe(ROOT / 'configs' / '_base_' / 'studies' / f'{folder}.py')
        assert f'tools/train.py configs/_base_/studies/{folder}.py' in pre_training(file)
        assert first.train_cfg[f'max_{kind}s'] == int(last)
        assert shapes(backbone) == shapes(first.model.backbone)


def shapes(backbone):
    model = shapes_of({k: v for k, v in backbone.items() if k != 'init_cfg'})
    return {name: value.shape for name, value in model.state_dict().items()}


def pre_training(file):
    """Read the headers of a study file and of the one it inherits."""
    parent = re.search(r'^inherit: (\S+)', file.read_text(), re.MULTILINE)
    return file.read_text() + (pre_training(file.parent / parent[1]) if parent else '')


# Its cells were run before the base of the digits was written anew.
OF_FORMER_CONFIGS = {'lr_search_placed_digits'}


def test_kept_records_are_of_the_configs_that_the_studies_have():
    """Otherwise --records would refuse them: a change of a shared base must not change cells."""
    kept = {path.stem for path in (ROOT / 'docs' / 'evidence').glob('*.json')}
    checked = 0
    for file in FILES:
        if (study := read_study(file)).name not in kept:
            continue
        records = read_record_file(ROOT / 'docs' / 'evidence' / f'{study.name}.json')
        found = {cell.name: cell.fingerprint for cell in make_cells(study)}
        same = all(found.get(name) == record['fingerprint'] for name, record in records.items())
        assert same != (study.name in OF_FORMER_CONFIGS), study.name
        checked += len(records)
    assert checked > 70
