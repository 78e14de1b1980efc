"""The speed comparison of the batch transforms: what it compares, and what it writes."""

import importlib.util
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'batch_augment_speed.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_batch_augment_speed', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('size', [32, 224])
def test_every_side_makes_images_of_the_size_it_says(tool, size):
    images = torch.randint(0, 256, (2, 3, tool.SOURCES[size], tool.SOURCES[size])).byte()
    found = tool.sides(size, 'cpu')
    assert len(found) == 8 + bool(find_spec('kornia'))
    for name, side in found.items():
        out = side(images)
        assert out.shape == (2, 3, size, size)
        assert out.dtype == (torch.float32 if name.startswith('kornia') else torch.uint8)


def test_sides_of_numpy_images_are_left_out_on_a_gpu(tool):
    assert not [name for name in tool.sides(32, 'cuda') if name.startswith('one image')]


def test_each_call_draws_anew(tool):
    side = tool.sides(32, 'cpu')[tool.MAIN]
    images = torch.randint(0, 256, (4, 3, 32, 32)).byte()
    assert not torch.equal(side(images), side(images))


def test_verdict_on_a_gpu(tool, capsys):
    tool.report(32, {tool.MAIN: 123_456.0, 'other': 1.0}, 'cuda')
    tool.report(224, {tool.MAIN: 9_999.0}, 'cuda')
    tool.report(224, {tool.MAIN: 9_999.0}, 'cpu')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith('123,456 goal 100,000: reached')
    assert lines[1].endswith(' 1')
    assert lines[2].endswith('9,999 goal 10,000: MISSED')
    assert lines[3].endswith('9,999')


@pytest.mark.slow
def test_from_start_to_end(tool, monkeypatch, tmp_path, capsys):
    out = tmp_path / 'speed.json'
    options = ['--size', '32', '--batch', '2', '--rounds', '1', '--seconds', '0']
    monkeypatch.setattr('sys.argv', [FILE.name, *options, '--out', str(out)])
    threads = torch.get_num_threads()
    tool.main()
    torch.set_num_threads(threads)
    speeds = json.loads(out.read_text())['images_per_second']
    assert set(speeds) == {'32'}
    assert set(speeds['32']) == set(tool.sides(32, 'cpu'))
    assert np.all(np.array(list(speeds['32'].values())) > 0)
    assert capsys.readouterr().out.count('images/s') == 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rounds', '0'], '--rounds and --batch must be 1 or more'),
        (['--batch', '0'], '--rounds and --batch must be 1 or more'),
    ],
)
def test_options_that_cannot_be_met_are_refused(tool, monkeypatch, capsys, options, message):
    monkeypatch.setattr('sys.argv', [FILE.name, *options])
    with pytest.raises(SystemExit):
        tool.main()
    assert message in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused(tool, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr('sys.argv', [FILE.name, '--device', 'cuda'])
    with pytest.raises(SystemExit, match='torch finds no GPU; use --device cpu'):
        tool.main()
