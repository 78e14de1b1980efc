"""Each benchmark at tiny size: all its sides run and compute the same."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml

from vit_plugins.benchmarks import PARTS
from vit_plugins.benchmarks.arguments import SIZES
from vit_plugins.benchmarks.command import find_cases, run_cases
from vit_plugins.benchmarks.comparison import check_equal_outputs
from vit_plugins.benchmarks.setting import Setting
from vit_plugins.resources import resource_root

TOY = Setting(size='toy')
IMAGE_SIDES = [
    *('ours', 'official', 'official, uint8*', 'ours, float*'),
    *('ours, resize by Pillow*', 'mmpretrain*'),
]
SIDES = {
    'GPSA': ['ours', 'timm', 'plain*'],
    'ConViT': ['ours', 'timm', 'vit*'],
    'DRLoc loss': ['ours', 'loop'],
    'DRLoc in': ['ours', 'without*', 'loss alone*'],
    'SRC + 3-Augment, batch': [
        *('ours', 'ours, one at a time'),
        *('torchvision v2*', 'torchvision v2, one draw*', 'kornia*'),
    ],
    'SRC + 3-Augment, JPEG': [*IMAGE_SIDES, 'ours, least_side'],
    'SRC + 3-Augment, array': IMAGE_SIDES,
    '32 digits': ['ours', 'CachedImages', 'default_collate', 'pseudo_collate'],
    '4 JPEG': ['ours', 'mmpretrain*', 'official*'],
    'ONNX': ['ours', 'timm', 'convit*'],
    'Recall': [
        *('ours', 'product+topk', 'faiss', 'pytorch_metric_learning'),
        *('ours, MAP@R*', 'product*'),
    ],
    'contrastive': ['ours', 'pytorch_metric_learning', 'dense'],
    'epoch': ['ours', 'model*', 'model + loader*'],
    'ViT': ['ours', 'timm'],
    'vit-plugins': ['ours', 'other*'],
    'edgenext': ['ours'],
    'checkpoint of ConViT-toy write': ['ours', 'torch.save', 'mmengine'],
    'checkpoint of ConViT-toy read': ['ours', 'torch.load'],
}  # * marks a limit, whose outputs are not compared
MAY_MISS = {'kornia'}  # not among the test's packages
NEEDED = {'export': ('onnx', 'onnxscript', 'onnxruntime')}  # not among the test's packages


def import_part(part):
    return import_module(f'vit_plugins.benchmarks.{part}')


TOY_CASES = [
    pytest.param(part, name, arguments, id=name, marks=pytest.mark.slow if part in NEEDED else ())
    for part in PARTS
    if part != 'ranks'
    for name, arguments in import_part(part).cases('toy').items()
]


@pytest.mark.parametrize(('part', 'name', 'arguments'), TOY_CASES)
def test_sides_compute_the_same(part, name, arguments):
    for package in NEEDED.get(part, ()):
        pytest.importorskip(package)
    comparison = import_part(part).build(TOY, **arguments)
    assert comparison.name == name
    expected = next(sides for start, sides in SIDES.items() if name.startswith(start))
    expected = [side for side in expected if side.rstrip('*') not in comparison.missing]
    assert [f'{key}{"*" * bool(side.about)}' for key, side in comparison.sides.items()] == expected
    assert set(comparison.missing) <= MAY_MISS
    compared = {side for side in expected[1:] if not side.endswith('*')}
    assert set(check_equal_outputs(comparison)) == compared
    for side in comparison.sides.values():
        side.call()


@pytest.mark.slow
def test_ranks_in_fresh_processes():
    """As the command runs them: torch refuses to fork ranks after a backward pass."""
    one, two = run_cases(find_cases(['ranks'], 'toy'), Setting(size='toy', rounds=1, turn=0.0))
    for row, ranks in ((one, 1), (two, 2)):
        assert 'error' not in row, row['error']
        assert row['case'].endswith(f'ranks: {ranks}')
        assert row['sides']['ours']['cpu_seconds'] > 0.01  # that of the ranks


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize('size', SIZES)
def test_every_size_has_cases(part, size):
    assert import_part(part).cases(size)


KNOWN = {
    size: {case for part in PARTS for case in import_part(part).cases(size)}
    for size in ('cpu', 'gpu')
}


def test_every_target_names_a_case():
    targets = yaml.safe_load((resource_root() / 'docs/performance/targets.yml').read_text())
    for target in targets:
        size = 'gpu' if 'gpu' in Path(target['file']).parts else 'cpu'
        assert target['case'] in KNOWN[size], target


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'timm', None)
    from vit_plugins.benchmarks import model

    (arguments, *_) = model.cases('toy').values()
    comparison = model.build(TOY, **arguments)
    assert list(comparison.sides) == ['ours']
    assert 'timm' in comparison.missing['timm']


def test_training_compares_gradients_too():
    from vit_plugins.benchmarks.module_sides import compare_modules

    modules = {name: torch.nn.Linear(2, 2, bias=False) for name in ('ours', 'peer')}
    modules['peer'].load_state_dict(modules['ours'].state_dict())
    x = torch.randn(3, 2)
    calls = {'ours': lambda m: m(x), 'peer': lambda m: m(x).detach() + 2 * m(x) - 2 * m(x)}
    comparison = compare_modules('case', modules, calls, TOY, 'forward+backward', 3)
    with pytest.raises(AssertionError, match='outputs of peer differ'):
        check_equal_outputs(comparison)
