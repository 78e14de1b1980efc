"""The speed comparison of the augmentation: what it compares, and that the floor holds."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'three_augment_speed.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_three_augment_speed', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def sources(tool):
    return {'JPEG': tool.jpeg(tool.photo(375, 500)), 'array': tool.photo(256, 256)}


def test_sources_are_those_of_the_specification(tool, sources):
    assert len(sources['JPEG']) == pytest.approx(108_000, rel=0.03)
    assert sources['array'].shape == (256, 256, 3)
    assert sources['array'].flags.c_contiguous  # else our side would pay for a copy


@pytest.mark.parametrize('source', ['JPEG', 'array'])
def test_every_side_ends_where_its_name_says(tool, sources, source):
    for name, (side, _) in tool.sides().items():
        out = side(sources[source])
        assert out.shape == (3, 224, 224)
        assert out.is_contiguous() or name == 'official chain -> uint8'  # torchvision's view
        assert out.dtype == (torch.float32 if name.endswith('float') else torch.uint8)


@pytest.mark.parametrize('side', ['official chain', 'ours, both'])
def test_both_ends_of_a_side_show_the_same_image(tool, sources, side):
    ends = []
    for end in ('uint8', 'float'):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        ends.append(tool.sides()[f'{side} -> {end}'][0](sources['array']))
    levels, normalised = ends
    levels = levels.float() if side.startswith('official') else levels.float().flip(0)  # RGB
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (tool.MEAN, tool.STD))
    torch.testing.assert_close(normalised, (levels / 255 - mean) / std, rtol=1e-5, atol=1e-5)


def test_table_and_verdict(tool, capsys):
    seconds = dict.fromkeys(tool.sides(), 1e-3)
    assert tool.report('array', {**seconds, 'ours -> uint8': 1.25e-4}) == 8
    assert tool.report('JPEG', seconds) == 1
    lines = capsys.readouterr().out.splitlines()
    goals = [line for line in lines if not line.endswith('-')]
    assert [line.split()[-4:] for line in goals] == [
        ['8000', '8.00', '7.9', 'reached'],
        ['1000', '1.00', '3.2', 'MISSED'],
    ]


def test_from_start_to_end(tool, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['three_augment_speed.py', '--rounds', '1', '--images', '1'])
    monkeypatch.setattr(tool, 'GOALS', {'JPEG': (0, 0), 'array': (1e9, 1e9)})
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit, match=r'too slow: from the array .* not 1000000000.0'):
        tool.main()
    torch.set_num_threads(threads)
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 * len(tool.sides())


def test_nothing_to_time_is_refused(tool, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['three_augment_speed.py', '--images', '0'])
    with pytest.raises(SystemExit):
        tool.main()
    assert '--rounds and --images must be 1 or more' in capsys.readouterr().err


@pytest.mark.slow
def test_floor_of_the_issue():
    """2.5 times the official speed from a JPEG, 5 times from an array: the tool fails below."""
    done = subprocess.run([sys.executable, FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
