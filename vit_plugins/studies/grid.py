"""Make the cells of a study file's grid, each with complete configs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..config_edits.dataset_by_name import apply_data
from ..config_edits.reading import read_config_file
from ..config_edits.scale_epochs import scale_epochs
from .study_file import SPECIAL, load_study_file

# besides the keys of the base config and the runner's own arguments
MORE_KEYS = {'auto_scale_lr', 'find_unused_parameters', 'runner_type', 'tta_model', 'tta_pipeline'}


@dataclass(frozen=True)
class Study:
    """A study file after reading; ``tools/study.py --help`` explains each key.

    Attributes:
        name: The name of the study.
        about: A description for the report.
        axes: Name of each axis to name of each level to settings.
        seeds: The seeds of each cell.
        measure: 'test': the metrics of ``tools/test.py``; 'val': those of the last validation.
        metrics: The names of the metrics to compare.
        compare: Axis, baseline and optional levels of each comparison.
        plot: The axis against which the metric is plotted, if any.
        tests: Name to settings of several tests of one checkpoint; empty for the usual test.
        train_args: Further arguments of ``tools/train.py``.
        test_args: Further arguments of ``tools/test.py``.
        data_root: The folder of images, or None.
        content: The whole content of the file.
    """

    name: str
    about: str
    axes: dict[str, dict[str, dict]]
    seeds: list[int]
    measure: str
    metrics: list[str]
    compare: list[dict]
    plot: dict | None
    tests: dict[str, dict]
    train_args: list[str]
    test_args: list[str]
    data_root: str | None
    content: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One training (in one or more stages) of a study.

    Attributes:
        name: The levels and the seed, ``level/level/seed0``, which is also its folder.
        levels: Axis to level.
        seed: The seed.
        stages: The config of each stage; a stage starts from the weights of the one before.
        tests: Name to config of each test; empty if the validation is measured.
        fingerprint: A hash of everything that decides the outcome, except data and code.
    """

    name: str
    levels: dict[str, str]
    seed: int
    stages: tuple[Config, ...]
    tests: dict[str, Config]
    fingerprint: str


def read_study(path: str | Path, data: str | None = None) -> Study:
    """Load a study file.

    Args:
        path: The YAML file.
        data: A dataset that replaces its ``data``; levels with ``_data_`` keep theirs.

    Raises:
        ValueError: If the file has an error; the message names it.
    """
    content = load_study_file(path)
    content['data'] = data or content['data']
    kept = ('name', 'about', 'axes', 'seeds', 'measure', 'compare', 'plot', 'tests')
    more = ('train_args', 'test_args', 'data_root')
    return Study(
        **{key: content[key] for key in kept + more}, metrics=content['metric'], content=content
    )


def make_cells(study: Study) -> list[Cell]:
    """Return the cells of a study, seeds outermost, so that a partial study has whole grids.

    Args:
        study: The study.

    Raises:
        ValueError: If a cell's config cannot be composed, two cells are the same, or ``tuned``
            names a cell that does not exist.
    """
    bases: dict[tuple, Config] = {}  # each file is read once
    cells = [
        _make_cell(study, levels, seed, bases)
        for seed in study.seeds
        for levels in choose_levels(study.content)
    ]
    for part in study.content['tuned']:
        if not any(_within(cell.levels, part['where']) for cell in cells):
            raise ValueError(f'tuned: no cell is where {part["where"]} says; leave it out')
    seen: dict[str, str] = {}
    for cell in cells:
        if seen.setdefault(cell.fingerprint, cell.name) != cell.name:
            raise ValueError(
                f'{seen[cell.fingerprint]} and {cell.name} have the same config: a level changes '
                'nothing, or the seed is overridden'
            )
    return cells


def choose_levels(content: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the combinations of levels: those of ``cells``, else all, without ``exclude``.

    Args:
        content: The study file.
    """
    axes = content['axes']
    seen = []
    for choice in content['cells'] or [{}]:
        options = [choice.get(axis, list(levels)) for axis, levels in axes.items()]
        for names in itertools.product(*options):
            levels = dict(zip(axes, names, strict=True))
            excluded = any(_within(levels, choice) for choice in content['exclude'])
            if not excluded and levels not in seen:
                seen.append(levels)
                yield levels


def _within(levels: Mapping[str, str], choice: Mapping[str, list[str]]) -> bool:
    return all(levels[axis] in some for axis, some in choice.items())


def _make_cell(
    study: Study, levels: dict[str, str], seed: int, bases: dict[tuple, Config]
) -> Cell:
    name = '/'.join([*levels.values(), f'seed{seed}'])
    settings = [study.axes[axis][level] for axis, level in levels.items()]
    try:
        special = {key: _only(settings, key) for key in SPECIAL if key != '_x_'}
        base = special['_base_'] or study.content['base']
        data = special['_data_'] or study.content['data']
        if (base, data) not in bases:
            bases[base, data] = _read_base(base, data)
        cfg = deepcopy(bases[base, data])
        seeds = dict.fromkeys(study.content['seed_keys'], seed)
        plain = [{k: v for k, v in part.items() if k not in SPECIAL} for part in settings]
        tuned = [part['set'] for part in study.content['tuned'] if _within(levels, part['where'])]
        for part in (study.content['options'], *plain, *tuned, seeds):
            _override(cfg, part)
        if special['_scale_epochs_'] is not None:
            scale_epochs(cfg, special['_scale_epochs_'])
        stages = [_overridden(cfg, stage or {}) for stage in special['_stages_'] or [{}]]
        tests = {}
        if study.measure == 'test':
            parts = study.tests or {'': {}}
            tests = {key: _overridden(stages[-1], part or {}) for key, part in parts.items()}
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ValueError(f'cell {name}: {error}') from error
    arguments = [study.measure, study.train_args, study.test_args]
    return Cell(name, levels, seed, tuple(stages), tests, _fingerprint(stages, tests, arguments))


def _read_base(base: str, data: str | None) -> Config:
    cfg = read_config_file(base)
    cfg.pop('machine_steps', None)  # the same for all cells
    return cfg if data is None else apply_data(cfg, data)


def _only(settings: list[dict], key: str) -> Any:
    """Return the value of a special key that at most one level of a cell may have."""
    found = [part[key] for part in settings if part.get(key) is not None]
    if len(found) > 1:
        raise ValueError(f'two of its levels have {key}: one may')
    return found[0] if found else None


def _overridden(cfg: Config, settings: dict) -> Config:
    cfg = deepcopy(cfg)
    _override(cfg, settings)
    return cfg


def _override(cfg: Config, settings: dict) -> None:
    known = {*cfg, *signature(Runner).parameters, *MORE_KEYS}
    for path in settings:
        if str(path).split('.')[0] not in known:
            raise ValueError(f'{path}: the base config has no {str(path).split(".")[0]}')
    cfg.merge_from_dict(deepcopy(settings))


def _fingerprint(stages: list[Config], tests: dict[str, Config], arguments: list) -> str:
    content = [
        [_what_counts(stage) for stage in stages],
        {name: _what_counts(test) for name, test in tests.items()},
        arguments,
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:16]


def _what_counts(cfg: Config) -> dict[str, Any]:
    """Return a config without what changes no number: the page at the end, how workers start."""
    content = deepcopy(cfg.to_dict())
    content.get('default_hooks', {}).pop('report_page', None)
    workers = content.get('env_cfg', {}).get('mp_cfg', {})
    if 'mp_start_method' in workers:
        workers['mp_start_method'] = 'fork'  # that of all records from before it differed
    return content
