"""The command: its arguments, its failures and its JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from vit_plugins import __main__ as command_line
from vit_plugins.benchmarks import command
from vit_plugins.benchmarks.gpu_suite.process_tree import descendants
from vit_plugins.benchmarks.setting import Setting

OURS = {'seconds': 0.001, 'ratio': 1.0, 'cpu_seconds': 0.001, 'cpu_ratio': 1.0}
ROW = {
    'case': 'GPSA',
    'differences': {'timm': 1e-7},
    'missing': {'faiss': 'No module named faiss'},
    'sides': {
        'ours': {**OURS, 'peak_mb': 2.0, 'kept_mb': 1.5},
        'timm': {**dict.fromkeys(OURS, 2.0), 'peak_mb': None},
    },
}


def setting(*words):
    return command.read_setting(command.make_parser().parse_args(words))


@pytest.mark.slow
def test_sides_can_be_left_out():
    chosen = setting('gpsa', '--size', 'toy', '--without', 'plain', '--rounds', '1', '--turn', '0')
    cases = command.find_cases(['gpsa'], 'toy', 'forward')[:1]
    (row,) = command.run_cases(cases, chosen)
    assert set(row['sides']) == {'ours', 'timm'}
    assert row['missing'] == {'plain': 'not asked for'}
    with pytest.raises(ValueError, match="'ours' cannot be left out"):
        setting('gpsa', '--without', 'ours')


def test_defaults_follow_the_device(monkeypatch):
    found = setting('gpsa')
    assert (found.dtype, found.size, found.rounds) == ('fp32', 'cpu', 5)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    found = setting('gpsa', '--device', 'cuda', '--rounds', '7', '--compile')
    assert (found.dtype, found.size, found.rounds, found.compiled) == ('bf16', 'gpu', 7, True)


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['gpsa', '--device', 'cuda'], 'finds no CUDA device for --device cuda: use --device cpu'),
        (['gpsa', '--device', 'gpu'], 'gpu'),
        (['gpsa', '--rounds', '0'], 'rounds and threads must be at least 1, got 0 and 1'),
        (['gpsa', '--once', '--turn', '1'], 'leave out --rounds and --turn'),
        (
            ['gpsa', '--only', 'small'],
            "--only 'small': no case has this in its name; there are: GPSA",
        ),
    ],
)
def test_settings_that_cannot_be(words, text, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert command_line.main(['bench', *words]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize('words', [[], ['nothing'], ['gpsa', '--size', 'huge']])
def test_arguments_that_cannot_be(words, capsys):
    with pytest.raises(SystemExit, match='2'):
        command_line.main(['bench', *words])
    assert 'usage: vit-plugins bench' in capsys.readouterr().err


def test_json_is_written_after_each_case_and_a_failure_is_in_it(monkeypatch, tmp_path, capsys):
    file = tmp_path / 'folder' / 'bench.json'
    written = []

    def run(cases, setting):
        assert [part for part, _ in cases] == ['gpsa'] * 2 + ['model'] * 2
        assert setting.size == 'toy'
        yield {'part': 'gpsa', **ROW}
        written.append(len(json.loads(file.read_text())['cases']))
        yield {'part': 'model', 'case': 'ConViT', 'error': 'Traceback\nno memory'}

    monkeypatch.setattr(command, 'run_cases', run)
    words = ['gpsa', 'model', '--size', 'toy', '--json', str(file)]
    assert command_line.main(['bench', *words]) == 1
    assert written == [1]
    report = json.loads(file.read_text())
    assert report['setting']['size'] == 'toy'
    assert report['machine']['versions']['torch']
    assert [case['part'] for case in report['cases']] == ['gpsa', 'model']
    printed = capsys.readouterr().out
    assert 'ConViT: FAILED\nTraceback\nno memory' in printed
    assert 'faiss is left out: No module named faiss' in printed
    assert 'peak            -' in printed


def test_cases_are_chosen_by_a_text(monkeypatch):
    chosen = []
    monkeypatch.setattr(command, 'run_cases', lambda cases, setting: chosen.extend(cases) or [])
    assert command.main(['model', 'gpsa', '--size', 'cpu', '--only', 'small']) == 0
    assert chosen == [
        ('model', f'ConViT-small 384 px, batch 2, {mode}')
        for mode in ('forward', 'forward+backward')
    ]


class Pipe:
    def __init__(self):
        self.sent = []

    def send(self, what):
        self.sent.append(what)


def test_a_process_in_which_cuda_cannot_start_says_so_and_another_kind_is_tried(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    on_gpu = Setting(device='cuda', size='toy')
    monkeypatch.setattr(torch.cuda, '_is_in_bad_fork', lambda: True)
    pipe = Pipe()
    command._measure_case(pipe, 'gpsa', 'any', on_gpu)
    assert pipe.sent == [None]
    tried = []

    def fresh(context, part, case, setting):
        tried.append(context.get_start_method())
        return None if tried[-1] == 'forkserver' else {'sides': {}}

    monkeypatch.setattr(command, '_in_fresh_process', fresh)
    rows = list(command.run_cases(command.find_cases(['gpsa'], 'toy'), on_gpu))
    assert tried == ['forkserver', 'spawn', 'spawn']
    assert [row['sides'] for row in rows] == [{}, {}]


def test_a_case_that_fails_sends_its_traceback(monkeypatch):
    pipe = Pipe()
    monkeypatch.setattr('vit_plugins.benchmarks.gpsa.build', lambda *a, **k: 1 / 0)
    command._measure_case(pipe, 'gpsa', 'GPSA h=4 N=16 forward', Setting(size='toy'))
    assert 'ZeroDivisionError' in pipe.sent[0]['error']


@pytest.mark.parametrize(('part', 'keeps'), [('predict', True), ('gpsa', False)])
def test_prediction_is_measured_with_the_memory_of_our_commands(part, keeps, monkeypatch):
    happened = []
    monkeypatch.setattr(command, 'keep_freed_memory', lambda _: happened.append('keep'))
    monkeypatch.setattr(command, 'measure', lambda *_: happened.append('measure'))
    monkeypatch.setattr(command, 'set_start_method', lambda *_, **__: None)
    [(_, case), *_] = command.find_cases([part], 'toy')
    command._measure_case(Pipe(), part, case, Setting(size='toy'))
    assert happened == ['keep'] * keeps + ['measure']


@pytest.mark.slow
def test_cases_run_in_fresh_processes(tmp_path):
    """One command from start to end; the parts themselves are tested in test_parts.py."""
    file = tmp_path / 'bench.json'
    words = ['gpsa', 'contrastive', '--size', 'toy', '--turn', '0.01', '--json', str(file)]
    assert command.main(words) == 0
    cases = json.loads(file.read_text())['cases']
    assert len(cases) == 3
    for case in cases:
        assert case['sides']['ours']['seconds'] > 0
        assert len(case['sides']['ours']['rounds']) == 5
        assert max(case['differences'].values()) < 1e-3


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='looks into /proc')
def test_a_killed_command_leaves_no_measurement(tmp_path):
    words = [sys.executable, '-m', 'vit_plugins', 'bench', 'gpsa', '--turn', '60']
    with open(tmp_path / 'log', 'w') as talk:
        process = subprocess.Popen(words, stdout=talk, stderr=subprocess.STDOUT)
    while len(started := descendants(process.pid)) < 3:  # two of multiprocessing, and the case
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    ends = time.monotonic() + 20
    while (left := [pid for pid in started if is_running(pid)]) and time.monotonic() < ends:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def is_running(pid):
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False
