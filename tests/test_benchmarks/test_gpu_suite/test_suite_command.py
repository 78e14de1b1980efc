"""Arguments, the order of the stages, what is skipped and what there is time for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vit_plugins.benchmarks.gpu_suite import __main__ as suite
from vit_plugins.benchmarks.gpu_suite.stages import STAGES

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools' / 'benchmarks' / 'gpu_suite.sh'


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Record which stages would run, with their seconds; nothing is kept in docs/gpu."""
    seen = {}

    def run_stage(stage, job, machine, log):
        seen[stage.number] = job
        return {'status': 'failed' if stage.number == '2' else 'passed', 'seconds': 1}

    monkeypatch.setattr(suite, 'run_stage', run_stage)
    monkeypatch.setattr(suite, 'KEPT', tmp_path / 'kept')
    monkeypatch.setattr(suite.Suite, '_start_decoding', lambda self: None)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(suite, 'describe_machine', lambda: {})
    for part in ('train', 'test'):
        (tmp_path / 'images' / part).mkdir(parents=True)
    seen['call'] = lambda *words: suite.main(
        [str(tmp_path / 'out'), '--images', str(tmp_path / 'images'), *words]
    )
    return seen


def numbers(ran):
    return [key for key in ran if key != 'call']


def test_first_call_has_room_for_its_stages_and_the_second_for_its_own():
    seconds = {stage.number: stage.seconds for stage in STAGES}
    assert sum(seconds[n] for n in '12345') <= 540 - 60  # of which a minute installs
    assert sum(seconds[n] for n in '67') <= 180
    assert [stage.number for stage in STAGES] == sorted(seconds)
    assert len({stage.file for stage in STAGES}) == len(STAGES)


def test_stages_run_in_their_order_whatever_order_they_are_named_in(ran, capsys):
    assert ran['call']('3', '1', '9d') == 0
    assert numbers(ran) == ['1', '3', '9d']
    assert 'stage 1 (60 s)' in capsys.readouterr().out
    assert ran['1'].device == 'cuda'
    assert not ran['1'].toy


def test_a_number_stands_for_all_that_begin_with_it(ran):
    ran['call']('9', '--time', '5000')
    assert numbers(ran) == ['9a', '9b', '9c', '9d', '9e']


def test_a_stage_that_did_not_pass_is_told_by_the_exit_status(ran):
    assert ran['call']('1', '2', '3') == 1
    assert numbers(ran) == ['1', '2', '3']


def test_stages_without_enough_time_are_left_for_another_call(ran, capsys):
    assert ran['call']('1', '2', '4', '--time', '100', '--spent', '40') == 1
    assert numbers(ran) == ['1', '2']
    assert 'stage 4: left for another call, 60 s remain' in capsys.readouterr().out


def test_a_stage_may_take_the_rest(ran):
    ran['call']('7', '8', '--time', '500')
    assert ran['7'].seconds == 130
    assert ran['8'].seconds == pytest.approx(500, abs=5)


def test_results_that_are_kept_are_not_found_again(ran, tmp_path, capsys):
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept' / '1_tests.json').write_text('{"status": "passed"}')
    (tmp_path / 'kept' / '3_bench.json').write_text('{"status": "failed"}')
    assert ran['call']('1', '3') == 0
    assert numbers(ran) == ['3']
    assert '1_tests.json has its result' in capsys.readouterr().out
    ran['call']('1', '--again')
    assert numbers(ran) == ['3', '1']


def test_a_dry_run_skips_nothing_and_makes_its_images(ran, tmp_path):
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept' / '4_tenth.json').write_text('{"status": "passed"}')
    assert ran['call']('4', '--dry-run') == 0
    job = ran['4']
    assert job.toy
    assert job.device == 'cpu'
    assert len(list(job.images.glob('train/*/*.jpg'))) == 30
    assert len(list(job.images.glob('test/*/*.jpg'))) == 20


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['10'], 'there is no stage 10; there are 1, 2, 3'),
        (['1', '--time', '5', '--spent', '6'], '--time 5: nothing is left after 6 s'),
        (['4', '7', '--images', 'nowhere'], 'stages 4, 7 need CIFAR-10 as class folders, and now'),
    ],
)
def test_refuses(words, text, ran, capsys):
    assert ran['call'](*words) == 2
    assert text in capsys.readouterr().err
    assert numbers(ran) == []


def test_refuses_without_a_gpu(ran, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert ran['call']('1') == 2
    assert 'finds no CUDA device: --dry-run does all at toy size' in capsys.readouterr().err


def bash(*words, cwd):
    return subprocess.run(
        ['bash', str(SCRIPT), *words],
        env={**os.environ, 'PYTHON': sys.executable},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_script_shows_the_stages_and_passes_the_arguments_on(tmp_path):
    done = bash(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(stage.about in done.stdout for stage in STAGES)
    done = bash('out', '10', '--dry-run', cwd=tmp_path)
    assert done.returncode == 2
    assert 'there is no stage 10' in done.stderr


@pytest.mark.slow
def test_all_stages_at_toy_size_on_a_cpu(tmp_path):
    done = bash('out', '--dry-run', cwd=tmp_path)  # relative to where one is
    results = {path.name: json.loads(path.read_text()) for path in tmp_path.glob('out/*.json')}
    assert set(results) == {stage.file for stage in STAGES}
    problems = {
        name: (result.get('error'), result.get('log'))
        for name, result in results.items()
        if result['status'] != 'passed'
    }
    assert not problems
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(result['dry_run'] and result['results'] for result in results.values())
    tests = results['1_tests.json']['results']
    assert (tests['failures'], tests['errors']) == (0, 0)
    assert tests['tests'] - tests['skipped'] > 30
    ddp = results['2_ddp.json']['results']
    assert 0 < ddp['resumed_at_step'] < ddp['steps']
    assert not any('error' in case for case in results['3_bench.json']['results']['cases'])
    cells = results['4_tenth.json']['results']['cells']
    assert set(cells) == {'convit/seed0', 'hybrid-convit/seed0'}
    assert all('accuracy/top1' in cell['metrics'] for cell in cells.values())
    assert results['7_recipe20.json']['results']['images_per_second'] > 0
    first, second = (
        results[name]['results'] for name in ('9a_recipe300_begun.json', '9b_recipe300.json')
    )
    assert second['steps'] == 2 * first['steps']
