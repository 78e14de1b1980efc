"""The speed comparison, on sizes that take no time: what it counts, not what it finds."""

import importlib.util
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'convit_speed.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_convit_speed', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_sides_compute_the_same(tool):
    pair = tool.Pair.of_layers(16, 4, (3, 3), 2)
    assert pair.name == 'GPSA h=4 N=9'
    assert pair.largest_difference() < 1e-6


def test_saved_bytes_counts_each_storage_once_and_no_parameter(tool):
    linear, x = torch.nn.Linear(4, 4, bias=False), torch.randn(10, 4)
    # The input for the weight's gradient, and the output of exp, which its own backward needs.
    assert tool.saved_bytes(lambda: linear(x).exp(), linear) == 2 * 10 * 4 * 4
    assert tool.saved_bytes(lambda: linear(x) + linear(x), linear) == 10 * 4 * 4


def test_goals_are_judged(tool, capsys):
    tool.report('layer', 'forward', 8, '1 ms', '2 ms', 2.0, 2.2)
    tool.report('layer', 'forward', 8, '1 ms', '2.5 ms', 2.5, 2.2)
    tool.report('layer', 'forward', 8, '1 ms', '2 ms', 2.0, None)
    missed, reached, without = capsys.readouterr().out.splitlines()
    assert missed.endswith('2.00  2.20  MISSED')
    assert reached.endswith('2.50  2.20  reached')
    assert without.endswith('2.00     -')


def test_one_pair_from_start_to_end(tool, capsys):
    tool.run(tool.Pair.of_layers(16, 4, (3, 3), 2), (None, None, 0.01), quick=True)
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()] == [
        'forward',
        'forward',
        'saved,',
    ]


def test_help(tool, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['convit_speed.py', '--help'])
    with pytest.raises(SystemExit):
        tool.main()
    assert '--quick' in capsys.readouterr().out
