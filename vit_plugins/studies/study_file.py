"""Load and check the YAML file of a study."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..fileio.documented_errors import documented_errors
from ..fileio.text_documents import read_yaml

# name: the value if it is absent or null
DEFAULTS: dict[str, Any] = {
    'name': None,
    'about': '',
    'define': None,
    'base': None,
    'data': None,
    'data_root': None,
    'options': {},
    'axes': None,
    'cells': [],
    'exclude': [],
    'tuned': [],
    'seeds': [0, 1, 2],
    'seed_keys': ['randomness.seed'],
    'measure': 'test',
    'tests': {},
    'metric': 'accuracy/top1',
    'compare': [],
    'plot': None,
    'train_args': [],
    'test_args': [],
}
SPECIAL = ('_base_', '_data_', '_stages_', '_scale_epochs_', '_x_')
MOST_INHERITED = 10
NAME = re.compile(r'[\w.%=+-]+')


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML loads it, except that ``1e-3`` is a number."""


_Loader.yaml_implicit_resolvers = {
    key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float', re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+$'), list('-+0123456789')
)


def load_study_file(path: str | Path) -> dict[str, Any]:
    """Load a study file and the files that it inherits, and check all that needs no config.

    Args:
        path: The YAML file. Its key ``inherit`` names another one: mappings are merged, other
            values are replaced, null removes a key.

    Returns:
        Every key of ``DEFAULTS`` with its value; paths of configs are absolute.

    Raises:
        ValueError: If a key is unknown or missing, a value is not valid, or it is not YAML.
        OSError: If the file, or a file that it inherits, cannot be read.
    """

    def told(text: str) -> ValueError:
        return ValueError(f'{path} is no study: something in it is of another kind ({text})')

    with documented_errors(ValueError, OSError, otherwise=told):
        raw = _load(Path(path))
        _check_names(path, raw)
        study = {**DEFAULTS, **{key: value for key, value in raw.items() if value is not None}}
        study['name'] = study['name'] or Path(path).stem
        try:
            _check(study)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        return study


def _check_names(path: str | Path, raw: Mapping) -> None:
    for key in raw:
        if key not in DEFAULTS:
            near = difflib.get_close_matches(str(key), DEFAULTS, n=1)
            hint = f'did you mean {near[0]}?' if near else f'known are {", ".join(DEFAULTS)}'
            raise ValueError(f'{path}: unknown key {key!r:.200}; {hint}')


def named_files(path: Path) -> list[Path]:
    """Return the files that a study file names: the one that it inherits, and configs.

    Args:
        path: The YAML file.
    """
    content = read_yaml(path, _Loader)
    parent = content.get('inherit')
    _place(content, path.parent)
    levels = [level for axis in (content.get('axes') or {}).values() for level in _levels(axis)]
    named = [content.get('base'), *(level.get('_base_') for level in levels)]
    inherited = [path.parent / parent] if parent else []
    return inherited + [Path(name) for name in named if name]


def _load(path: Path, depth: int = 0) -> dict[str, Any]:
    if depth > MOST_INHERITED:
        raise ValueError(f'{path} inherits more than {MOST_INHERITED} files, or itself')
    content = read_yaml(path, _Loader)
    if not isinstance(content, dict):
        raise ValueError(f'{path} is not a study: it holds no mapping')
    parent = content.pop('inherit', None)
    _place(content, path.parent)
    if parent is None:
        return content
    inherited = _load(path.parent / str(parent), depth + 1)
    inherited.pop('name', None)
    return _merged(inherited, content)


def _place(content: dict, folder: Path) -> None:
    """Make the paths of configs absolute: they are relative to the file that names them."""
    axes = content.get('axes')
    axes = axes.values() if isinstance(axes, dict) else ()  # checked later, with a message
    levels = [level for axis in axes for level in _levels(axis)]
    places = [(content, 'base'), (content, 'data')]
    places += [(level, key) for level in levels for key in ('_base_', '_data_')]
    for owner, key in places:
        if owner.get(key) and (key.strip('_') == 'base' or str(owner[key]).endswith('.py')):
            owner[key] = str((folder / str(owner[key])).resolve())


def _levels(axis: Any) -> list[dict]:
    levels = axis.values() if isinstance(axis, dict) else ()
    return [level for level in levels if isinstance(level, dict)]


def _merged(below: Mapping, above: Mapping) -> dict:
    result = dict(below)
    for key, value in above.items():
        if value is None and key in result:
            del result[key]
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _check(study: dict) -> None:
    study['axes'] = _checked_axes(study['axes'])
    axes = study['axes']
    if not study['base'] and not all(
        any('_base_' in level for level in levels.values()) for levels in axes.values()
    ):
        raise ValueError('base is missing: the config that the cells vary')
    if study['measure'] not in ('test', 'val'):
        raise ValueError(f"measure must be 'test' or 'val', got {study['measure']!r}")
    if study['tests'] and study['measure'] == 'val':
        raise ValueError("tests are settings of tools/test.py: they need measure: 'test'")
    seeds = study['seeds']
    whole = isinstance(seeds, list) and all(isinstance(seed, int) for seed in seeds)
    if not whole or not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f'seeds must be a list of one or more different integers, got {seeds}')
    for name in (*axes, *study['tests']):  # names of pictures and of test files
        if not NAME.fullmatch(str(name)):
            raise ValueError(f'{name!r} names files: letters, digits, .%=+-')
    if isinstance(study['metric'], str):
        study['metric'] = [study['metric']]
    _check_choices(study, axes)


def _check_choices(study: dict, axes: dict) -> None:
    """Check all keys that name levels; a single level becomes a list."""
    if isinstance(study['compare'], Mapping):
        study['compare'] = [study['compare']]
    for part in study['compare']:
        _check_keys(part, 'compare', {'axis', 'baseline'}, {'levels'})
        part['baseline'] = str(part['baseline'])
        levels = part['levels'] = [str(level) for level in part.get('levels') or ()]
        _check_levels(axes, {part['axis']: [part['baseline'], *levels]}, 'compare')
    for key in ('cells', 'exclude'):
        study[key] = [_choice(choice) for choice in study[key]]
        for choice in study[key]:
            _check_levels(axes, choice, key)
    for part in study['tuned']:
        _check_keys(part, 'tuned', {'where', 'set'}, set())
        part['where'] = _choice(part['where'])
        _check_levels(axes, part['where'], 'tuned')
    if study['plot']:
        _check_keys(study['plot'], 'plot', {'x'}, {'label'})
        axis = study['plot']['x']
        _check_levels(axes, {axis: []}, 'plot')
        for name, level in axes[axis].items():
            level_value(name, level)


def level_value(name: str, settings: Mapping[str, Any]) -> float:
    """Return the number of a level on the x axis: its ``_x_``, else its name.

    Args:
        name: The name of the level; a percent sign at its end is ignored.
        settings: The settings of the level.

    Raises:
        ValueError: If neither is a number.

    >>> level_value('10%', {})
    10.0
    """
    try:
        return float(settings.get('_x_', name.removesuffix('%')))
    except ValueError:
        raise ValueError(
            f'the level {name!r} is no number to plot against: give it _x_: NUMBER'
        ) from None


def _checked_axes(axes: Any) -> dict[str, dict[str, dict]]:
    if not isinstance(axes, dict) or not all(
        isinstance(levels, dict) and levels and all(map(_is_settings, levels.values()))
        for levels in axes.values()
    ):
        raise ValueError(
            'axes must map the name of each axis to its levels, and these to settings'
        )
    axes = {
        str(axis): {str(name): dict(level or {}) for name, level in levels.items()}
        for axis, levels in axes.items()
    }
    for axis, levels in axes.items():
        for name, level in levels.items():
            if not NAME.fullmatch(name):
                raise ValueError(
                    f'level {name!r} of {axis} names a folder: letters, digits, .%=+-'
                )
            for key in level:
                if str(key).startswith('_') and key not in SPECIAL:
                    raise ValueError(
                        f'level {name} of {axis} has {key}; what begins with _ is one of '
                        + ', '.join(SPECIAL)
                    )
    return axes


def _is_settings(level: Any) -> bool:
    return level is None or isinstance(level, dict)


def _check_keys(part: Mapping, where: str, needed: set[str], optional: set[str]) -> None:
    if not needed <= set(part) <= needed | optional:
        raise ValueError(f'{where} takes {sorted(needed | optional)}, got {sorted(part)}')


def _check_levels(axes: dict, choice: Mapping[str, list[str]], where: str) -> None:
    for axis, levels in choice.items():
        if axis not in axes:
            raise ValueError(f'{where} names the axis {axis!r}; there are {", ".join(axes)}')
        for level in levels:
            if level not in axes[axis]:
                raise ValueError(
                    f'{where} names the level {level!r} of {axis}; there are '
                    + ', '.join(axes[axis])
                )


def _choice(levels: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the levels with each single level as a list."""
    return {
        axis: [str(level) for level in (some if isinstance(some, list) else [some])]
        for axis, some in levels.items()
    }
