"""Arguments, order of the stages, and skipped stages."""

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
import torch

from vit_plugins.benchmarks.gpu_suite import __main__ as suite
from vit_plugins.benchmarks.gpu_suite.stages import STAGES
from vit_plugins.benchmarks.gpu_suite.trainings import make_toy_images

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools' / 'benchmarks' / 'gpu_suite.sh'


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Record which stages would run, with their seconds; nothing is kept in docs/gpu."""
    seen = {}
    images = {'train': 0, 'test': 0}

    def run_stage(stage, job, machine, log):
        seen[stage.number] = job
        images.update({part: len(list(job.images.glob(f'{part}/*/*.jpg'))) for part in images})
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
    seen['images'] = images
    return seen


def numbers(ran):
    return [key for key in ran if key not in ('call', 'images')]


def test_calls_of_the_script_have_room_for_their_stages():
    listed = re.findall(r'^#   ((?:\w{1,2} )+) +.*?\((\d+) s', SCRIPT.read_text(), re.MULTILINE)
    assert len(listed) == 5
    for named, seconds in listed:
        groups = list(suite.side_by_side(suite.choose_stages(named.split())))
        assert sum(max(stage.seconds for stage in group) for group in groups) == int(seconds)
        assert int(seconds) <= 540 - 20  # which install
    assert len({stage.file for stage in STAGES}) == len(STAGES)


def test_stages_that_measure_no_time_run_side_by_side(ran, monkeypatch):
    groups = [[s.number for s in group] for group in suite.side_by_side(STAGES)]
    assert groups[:3] == [['1', '2'], ['3a'], ['3b']]
    together = threading.Barrier(2, timeout=10)

    def run_stage(stage, job, machine, log):
        if not stage.timed:
            together.wait()  # which fails unless both are there
        return {'status': 'passed', 'seconds': 1}

    monkeypatch.setattr(suite, 'run_stage', run_stage)
    assert ran['call']('1', '2', '3a') == 0


def test_stages_run_in_their_order_whatever_order_they_are_named_in(ran, capsys):
    assert ran['call']('3', '1') == 0
    assert numbers(ran) == ['1', '3a', '3b', '3c']
    assert 'stage 1 (90 s)' in capsys.readouterr().out
    assert ran['1'].device == 'cuda'
    assert not ran['1'].toy


def test_a_number_stands_for_all_that_begin_with_it(ran):
    ran['call']('9', '--time', '5000')
    assert numbers(ran) == ['9d', '9e', '9a', '9b', '9c']


def test_a_stage_that_did_not_pass_is_told_by_the_exit_status(ran):
    assert ran['call']('1', '2', '3a') == 1
    assert sorted(numbers(ran)) == ['1', '2', '3a']


def test_stages_without_enough_time_are_left_for_another_call(ran, capsys):
    assert ran['call']('1', '2', '4', '--time', '140', '--spent', '40') == 1
    assert sorted(numbers(ran)) == ['1', '2']
    assert 'stage 4: left for another call, 100 s remain' in capsys.readouterr().out


def test_a_stage_may_take_the_rest(ran):
    ran['call']('7', '8', '--time', '500')
    assert ran['7'].seconds == 220
    assert ran['8'].seconds == pytest.approx(500, abs=5)


def test_results_that_are_kept_are_not_found_again(ran, tmp_path, capsys):
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept' / '1_tests.json').write_text('{"status": "passed"}')
    (tmp_path / 'kept' / '3a_model.json').write_text('{"status": "partial"}')
    assert ran['call']('1', '3a') == 0
    assert numbers(ran) == ['3a']
    assert '1_tests.json has its result' in capsys.readouterr().out
    ran['call']('1', '--again')
    assert numbers(ran) == ['3a', '1']


def test_a_dry_run_skips_nothing_and_makes_its_images(ran, tmp_path):
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept' / '4_tenth.json').write_text('{"status": "passed"}')
    assert ran['call']('4', '--dry-run') == 0
    job = ran['4']
    assert job.toy
    assert job.device == 'cpu'
    assert ran['images'] == {'train': 30, 'test': 20}
    assert not job.images.exists()  # removed at the end


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['10'], 'there is no stage 10; there are 1, 2, 3a'),
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


STUB = f"""#!/bin/sh
case " $* " in *" -m vit_plugins."*) ;; *) exec {sys.executable} "$@" ;; esac
echo "$PYTHONPATH | $*" >> "$CALLS"
"""


@pytest.fixture
def script(tmp_path):
    """Call a copy of the script in a folder of its own; a stub notes what Python is asked."""
    copied = tmp_path / 'repository' / 'tools' / 'benchmarks' / SCRIPT.name
    copied.parent.mkdir(parents=True)
    copied.write_bytes(SCRIPT.read_bytes())
    stub = tmp_path / 'python'
    stub.write_text(STUB)
    stub.chmod(0o755)
    calls = tmp_path / 'calls'

    def call(*words):
        calls.write_text('')
        environment = {**os.environ, 'PYTHON': str(stub), 'CALLS': str(calls)}
        subprocess.run(['bash', str(copied), *words], env=environment, cwd=tmp_path, check=True)
        return [line.split(' | ') for line in calls.read_text().splitlines()]

    return call


def test_script_passes_its_arguments_on(script, tmp_path):
    ((paths, words),) = script('out', '1', '2')
    assert paths.split(':')[0] == str(tmp_path / 'repository')
    assert re.fullmatch(
        rf'-m vit_plugins.benchmarks.gpu_suite {tmp_path}/out 1 2 --spent \d+', words
    )
    assert script('/there', '--dry-run')[0][1].split()[2:4] == ['/there', '--dry-run']
    for words in ([], ['--help']):
        assert script(*words)[0][1].split()[2] == '--help'


def test_script_installs_wheels_and_unpacks_images(script, tmp_path):
    root = tmp_path / 'repository'
    (root / '.whl').mkdir()
    with zipfile.ZipFile(root / '.whl' / 'host.whl', 'w') as wheel:
        wheel.writestr('host/__init__.py', 'found = 42')
    make_toy_images(tmp_path / 'cifar')
    (root / '.data').mkdir()
    with tarfile.open(root / '.data' / 'cifar10-jpeg.tar.gz', 'w:gz') as archive:
        for part in ('train', 'test'):
            archive.add(tmp_path / 'cifar' / part, part)
    (root / 'vit_plugins').mkdir()
    run = script('out')[-1]
    site = root / 'work_dirs' / 'gpu_suite_site'
    assert (site / 'host' / '__init__.py').read_text() == 'found = 42'
    assert list(site.glob('host/__pycache__/*.pyc'))  # no process has to compile it
    assert run[0].split(':')[:2] == [str(root), str(site)]
    assert len(list((root / 'data' / 'cifar10').glob('train/*/*.jpg'))) == 30
    assert len(script('out', '--dry-run')) == 1  # which needs neither


def bash(*words, cwd):
    return subprocess.run(
        ['bash', str(SCRIPT), *words],
        env={**os.environ, 'PYTHON': sys.executable},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_help_shows_the_stages(capsys):
    with pytest.raises(SystemExit, match='0'):
        suite.main(['--help'])
    text = capsys.readouterr().out
    assert all(stage.about in text for stage in STAGES)


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
    compiled = {'9d_compiled.json'}
    if torch.__version__.startswith('2.1.'):  # it cannot compile MMEngine, see test_whole_graph
        assert problems.keys() == compiled, problems
        assert done.returncode == 1
        del results['9d_compiled.json']
        compiled = set()
    else:
        assert not problems
        assert done.returncode == 0, done.stdout + done.stderr
    assert all(result['dry_run'] and result['results'] for result in results.values())
    tests = results['1_tests.json']['results']
    assert (tests['failures'], tests['errors']) == (0, 0)
    assert tests['tests'] - tests['skipped'] > 30
    ddp = results['2_ddp.json']['results']
    assert 0 < ddp['resumed_at_step'] < ddp['steps']
    for name in {'3a_model.json', '3b_gpsa.json', '3c_losses.json', *compiled}:
        found = results[name]['results']
        assert found['whole']
        assert not found['missing']
    cells = results['4_tenth.json']['results']['cells']
    assert set(cells) == {'convit/seed0', 'hybrid-convit/seed0'}
    assert all('accuracy/top1' in cell['metrics'] for cell in cells.values())
    assert results['7_recipe20.json']['results']['images_per_second'] > 0
    first, second = (
        results[name]['results'] for name in ('9a_recipe300_begun.json', '9b_recipe300.json')
    )
    assert second['steps'] == 2 * first['steps']
