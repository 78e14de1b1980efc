"""Each part at toy size: its sides are there and compute the same."""

from importlib import import_module

import pytest
import torch

from vit_plugins.benchmarks import PARTS
from vit_plugins.benchmarks.arguments import SIZES
from vit_plugins.benchmarks.comparison import check_equal_outputs
from vit_plugins.benchmarks.setting import Setting

TOY = Setting(size='toy')
SIDES = {
    'gpsa': ['ours', 'timm'],
    'model': ['ours', 'timm', 'vit'],
    'export': ['ours', 'timm', 'convit'],
    'retrieval': ['ours', 'product+topk', 'faiss', 'pytorch_metric_learning', 'product'],
    'contrastive': ['ours', 'pytorch_metric_learning', 'dense'],
}
LIMITS = {'vit', 'convit', 'product'}
NEEDED = {'export': ('onnx', 'onnxscript', 'onnxruntime')}  # not among the test's packages


def import_part(part):
    return import_module(f'vit_plugins.benchmarks.{part}')


TOY_CASES = [
    pytest.param(part, name, arguments, id=name, marks=pytest.mark.slow if part in NEEDED else ())
    for part in PARTS
    for name, arguments in import_part(part).cases('toy').items()
]


@pytest.mark.parametrize(('part', 'name', 'arguments'), TOY_CASES)
def test_sides_compute_the_same(part, name, arguments):
    for package in NEEDED.get(part, ()):
        pytest.importorskip(package)
    comparison = import_part(part).build(TOY, **arguments)
    assert comparison.name == name
    assert list(comparison.sides) == SIDES[part]
    assert not comparison.missing
    compared = {key for key in SIDES[part][1:] if key not in LIMITS}
    assert set(check_equal_outputs(comparison)) == compared


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize('size', SIZES)
def test_every_size_has_cases(part, size):
    assert import_part(part).cases(size)


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
