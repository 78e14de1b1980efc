"""Guards over the study files that come with the package."""

from dataclasses import replace
from pathlib import Path

import pytest
from mmpretrain.registry import MODELS, TRANSFORMS

from vit_plugins.studies.grid import make_cells, read_study

ROOT = Path(__file__).parents[2]
FILES = [
    path for path in sorted((ROOT / 'configs').rglob('*.yaml')) if 'axes:' in path.read_text()
]


@pytest.mark.parametrize('file', FILES, ids=lambda path: path.stem)
def test_cells_compose_and_their_parts_build(file):
    study = read_study(file)
    cells = make_cells(replace(study, seeds=study.seeds[:1]))
    # One seed may choose a setting, by validation images; a comparison takes three.
    assert len(study.seeds) >= (3 if study.measure == 'test' else 1)
    assert f'tools/study.py {file.relative_to(ROOT)}' in file.read_text()
    built = []
    for cell in cells:
        for cfg in cell.stages:
            if cfg.model not in built:
                built.append(cfg.model)
                MODELS.build(cfg.model)
            for part in ('train', 'val', 'test'):
                dataset = cfg[f'{part}_dataloader'].dataset
                while 'dataset' in dataset:
                    dataset = dataset.dataset
                [TRANSFORMS.build(step) for step in dataset.pipeline]
