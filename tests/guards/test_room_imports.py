"""The rooms of the package are ordered: a room imports only itself and lower rooms."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / 'vit_plugins'
# From the bottom up. What a process does before torch is loaded comes first.
ROOMS = [
    *(
        'resources',
        'deprecation',
        'command_line',
        'host',
        'fileio',
        'structures',
        'evaluation.functional',
    ),
    *('weights', 'datasets', 'models', 'evaluation.metrics', 'config_edits', 'visualization'),
    *(
        'inference',
        'report',
        'engine',
        'studies',
        'recipes',
        'benchmarks',
        'command_line.commands',
    ),
]
ROOF = ('__init__', '__main__')  # the package as a whole, and its command line


def room_of(module):
    """Return the room of a dotted name in the package; the roof is above all rooms."""
    parts = module.split('.')
    if parts[0] == 'evaluation':  # its __init__ registers the metrics
        return f'evaluation.{parts[1]}' if len(parts) > 1 else 'evaluation.metrics'
    if parts[:2] == ['command_line', 'commands']:
        return 'command_line.commands'
    return parts[0]


def imported(source, path):
    """Yield line and module of each import of the package, also inside functions.

    ``from . import a, b`` names modules or objects of ``__init__``: each counts as a module.
    """
    package = list(path.parts[:-1])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = ['vit_plugins', *base] if node.level else base
            base = '.'.join([*base, *filter(None, [node.module])])
            found = [f'{base}.{alias.name}' for alias in node.names]
        else:
            continue
        for name in found:
            if name.startswith('vit_plugins.'):
                yield node.lineno, name.removeprefix('vit_plugins.')


def wrong_imports(source, path):
    """Return the imports of a file that go up.

    Args:
        source: Its text.
        path: Its path within the package.
    """
    module = '.'.join(path.with_suffix('').parts)
    room = room_of(module.removesuffix('.__init__'))
    if module in (*ROOF, 'command_line.commands.__init__'):  # it registers all rooms
        return []
    height = ROOMS.index(room)
    return [
        f'{path}:{line} ({room}) imports {name}'
        for line, name in imported(source, path)
        if room_of(name) not in ROOMS[: height + 1]
    ]


def test_every_room_has_its_height():
    found = {path.relative_to(PACKAGE).with_suffix('').parts for path in PACKAGE.rglob('*.py')}
    rooms = {room_of('.'.join(parts).removesuffix('.__init__')) for parts in found}
    assert rooms - set(ROOF) == set(ROOMS)


def test_rooms_import_lower_rooms_only():
    wrong = []
    for path in sorted(PACKAGE.rglob('*.py')):
        wrong += wrong_imports(path.read_text(encoding='utf-8'), path.relative_to(PACKAGE))
    assert not wrong, '\n'.join(wrong)


@pytest.mark.parametrize(
    ('path', 'source'),
    [
        ('engine/launch.py', 'from ..studies.grid import Study'),
        ('engine/launch.py', 'from .. import studies'),
        ('inference/features.py', 'from ..engine.launch import build_runner'),
        ('report/findings.py', 'from ..engine.hooks import FitPCAHook'),
        ('engine/launch.py', 'def run():\n    from vit_plugins.studies import grid'),
        ('engine/launch.py', 'def run():\n    import vit_plugins.studies.grid'),
        ('datasets/folder_scan.py', 'from ..config_edits.walking import walk'),
        ('evaluation/functional/pca.py', 'from ..metrics.class_f1 import ClassF1'),
        ('evaluation/functional/pca.py', 'from ... import evaluation'),
        ('weights/__init__.py', 'from ..models import heads'),
        ('host/check.py', 'from ..fileio import printable_text'),
    ],
)
def test_an_import_that_goes_up_is_found(path, source):
    (told,) = wrong_imports(source, Path(path))
    assert told.startswith(f'{path}:')


@pytest.mark.parametrize(
    ('path', 'source'),
    [
        ('studies/grid.py', 'from ..engine.launch import build_runner'),
        ('studies/grid.py', 'from .study_file import level_value'),
        ('evaluation/__init__.py', 'from .metrics import *'),
        ('evaluation/metrics/class_f1.py', 'from ..functional.finite import json_text'),
        ('host/check.py', 'from ..resources import resource_root'),
        ('models/__init__.py', 'from torch import nn'),
        ('__main__.py', 'from .studies import grid'),
    ],
)
def test_an_import_that_goes_down_is_none_of_its_business(path, source):
    assert wrong_imports(source, Path(path)) == []
