"""A result is always written, and no process of a stage remains after it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from vit_plugins.benchmarks.gpu_suite.running import has_result, run_stage, write_result

WRITE = "import sys, pathlib; work = pathlib.Path(sys.argv[1]); (work / 'found').write_text('42');"


@pytest.fixture
def run(make_job, tmp_path):
    def call(stage, **changes):
        job = make_job(**changes)
        result = run_stage(stage, job, {'gpu': 'none'}, tmp_path / 'log.txt')
        assert json.loads((job.out / '7_script.json').read_text()) == result
        return result

    return call


def test_a_stage_that_passes(run, script_stage, tmp_path):
    result = run(script_stage(WRITE + "print('said')"))
    assert result['status'] == 'passed'
    assert result['results'] == {'found': '42'}
    assert result['machine'] == {'gpu': 'none'}
    assert not result['dry_run']
    assert result['command'].startswith('python -S -c')
    assert str(tmp_path) not in result['command']
    assert 'log' not in result
    assert 'said' in (tmp_path / 'log.txt').read_text()


def test_a_stage_that_fails_keeps_what_it_found_and_why(run, script_stage):
    result = run(script_stage(WRITE + "sys.exit('no such kernel')"))
    assert result['status'] == 'failed'
    assert result['results'] == {'found': '42'}
    assert result['log'] == ['no such kernel']


@pytest.mark.slow
def test_a_stage_that_takes_too_long_is_ended_and_keeps_what_it_found(run, script_stage):
    began = time.monotonic()
    result = run(script_stage(WRITE + 'import time; time.sleep(60)'), seconds=1.0)
    assert time.monotonic() - began < 8
    assert result['status'] == 'timeout'
    assert result['results'] == {'found': '42'}


@pytest.mark.slow
def test_a_stage_that_another_goes_on_with_may_be_ended(run, script_stage):
    stage = script_stage(WRITE + 'import time; time.sleep(60)', goes_on=True)
    assert run(stage, seconds=1.0)['status'] == 'passed'
    nothing = script_stage('import time; time.sleep(60)', goes_on=True)
    assert run(nothing, seconds=0.3, started=time.time())['status'] == 'passed'  # found is there


def test_a_stage_that_found_nothing_did_not_pass(run, script_stage):
    result = run(script_stage('pass'))
    assert result['status'] == 'failed'
    assert 'FileNotFoundError' in result['error']
    assert result['results'] == {}


def test_a_stage_whose_command_cannot_be_made(run, script_stage):
    def refuse(job):
        raise ValueError('bring the folder along')

    result = run(replace(script_stage('pass'), command=refuse))
    assert result['status'] == 'failed'
    assert 'bring the folder along' in result['error']


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='processes are found by /proc')
def test_nothing_outlives_a_stage(run, script_stage, tmp_path):
    """Also processes in their own session, such as the ranks of torch.distributed, are ended."""
    script = (
        'import subprocess, sys, time, pathlib\n'
        'child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"],'
        ' start_new_session=True)\n'
        'pathlib.Path(sys.argv[1], "found").write_text(str(child.pid))\n'
        'time.sleep(60)'
    )
    result = run(script_stage(script), seconds=1.5)
    pid = int(result['results']['found'])
    for _ in range(50):
        try:
            state = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == 'Z':  # dead, and nobody has asked yet
            return
        time.sleep(0.1)
    pytest.fail(f'process {pid} of {sys.executable} still runs')


@pytest.mark.parametrize(
    ('content', 'counts'),
    [
        ({'status': 'passed', 'dry_run': False}, True),
        ({'status': 'passed', 'dry_run': True}, False),
        ({'status': 'failed', 'dry_run': False}, False),
        ({'status': 'timeout', 'dry_run': False}, False),
        ({}, False),
    ],
)
def test_only_a_true_result_that_passed_counts(content, counts, script_stage, tmp_path):
    stage = script_stage('pass')
    assert not has_result(stage, tmp_path)
    write_result(content, tmp_path / stage.file)
    assert has_result(stage, tmp_path) == counts
    assert not list(tmp_path.glob('*.part'))


def test_a_damaged_result_does_not_count(script_stage, tmp_path):
    stage = script_stage('pass')
    (tmp_path / stage.file).write_text('{"status": "pas')
    assert not has_result(stage, tmp_path)


@pytest.mark.slow
def test_an_interruption_ends_the_stages(tmp_path):
    command = [sys.executable, '-m', 'vit_plugins.benchmarks.gpu_suite', str(tmp_path / 'out')]
    process = subprocess.Popen(
        [*command, '--dry-run', '1', '2'],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # a shell lets its background jobs ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not (line := process.stdout.readline()).startswith(b'stage 2'):
            assert line, 'it ended before its stages began'
        process.send_signal(signal.SIGINT)
        assert b'KeyboardInterrupt' in process.communicate(timeout=30)[0]
    finally:
        process.kill()
    found = {
        f.stem: json.loads(f.read_text())['status'] for f in (tmp_path / 'out').glob('*.json')
    }
    found.pop('1_tests', None)  # a dry run of it may be over by then
    assert found == {'2_ddp': 'failed'}
