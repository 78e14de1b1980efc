"""Memory and open files do not grow in long runs, and no worker outlives its parent.

The real figures come from hours of ``tests/long_runs.py``; here its checks are tested, and runs
of seconds.
"""

import contextlib
import mmap
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs /proc')


@pytest.fixture
def program(monkeypatch):
    """Load a program from the folder of the tests."""
    monkeypatch.syspath_prepend(TESTS)
    return __import__


def samples(memory, files=7):
    """Return samples from a function of the completed fraction of the run."""
    shares = [i / 299 for i in range(300)]
    number = files if callable(files) else lambda share: files
    return [dict(own=memory(x), resident=2 * memory(x), files=number(x)) for x in shares]


def noisy(share):
    """Return constant memory with short peaks and dips, after a warm-up part."""
    rng = random.Random(share)
    peak = rng.choice([0, 0, 0, 300, -200])
    return 1000 - 400 * max(0, 0.08 - share) / 0.08 + peak + rng.uniform(-2, 2)


@pytest.mark.parametrize(
    ('added', 'found'),
    [
        (lambda share: 0, 0.0),
        (lambda share: 40 * share, 0.032),  # of the settled nine tenths, from middle to middle
        (lambda share: 30 * (share > 0.8), 0.03),
        (lambda share: 500 * (share > 0.97), 0.0),  # the end is no different from other peaks
        (lambda share: -40 * share, -0.032),
    ],
)
def test_growth_is_told_from_noise(program, added, found):
    own, resident, files = program('long_runs').growth(samples(lambda x: noisy(x) + added(x)))
    assert own == pytest.approx(found, abs=0.003)
    assert resident == pytest.approx(found, abs=0.003)
    assert files == 0


def test_a_single_file_left_open_is_found(program):
    growth = program('long_runs').growth
    assert growth(samples(noisy, files=lambda share: 7 + (share > 0.5)))[2] == 1
    assert growth(samples(noisy, files=lambda share: 7 + 3 * (int(299 * share) % 4 == 0)))[2] == 0


def test_a_run_that_ended_early_says_nothing(program):
    with pytest.raises(ValueError, match='49 samples are too few to tell a growth: take 50'):
        program('long_runs').growth(samples(noisy)[:49])


def test_a_command_that_ends_before_its_time_is_told(program):
    module = program('long_runs')
    command = [sys.executable, '-c', 'raise SystemExit(3)']
    with pytest.raises(RuntimeError, match='ended with 3 before its time'):
        module.watch(command, 60, module.Record(), subprocess.DEVNULL, lambda: True, every=0.01)


def test_leaks_of_a_real_process_are_found(program):
    module = program('long_runs')

    def watched(call):
        record = module.Record()
        for _ in range(60):
            call()
            record.add(os.getpid())
        return module.growth(record.samples)

    own, _, files = watched(lambda: None)
    assert own < 0.02
    assert files == 0
    thousandth = module.sample(os.getpid())['own'] // 1000
    with contextlib.ExitStack() as leaks:
        kept = []

        def leaking():
            block = mmap.mmap(-1, thousandth)  # not out of what the process has free already
            block.write(b'x' * thousandth)
            kept.append(block)
            leaks.enter_context(open(os.devnull))

        own, _, files = watched(leaking)
    assert own > 0.02
    assert files > 20


def test_what_is_asked_for_is_what_users_ask(program, tmp_path):
    module = program('long_runs')
    asked = list(module.calls(module.photos(tmp_path / 'photos', 70), 1500))
    assert sum(map(len, asked)) == 1500
    assert {len(some) for some in asked} >= {1, 32, 64, 300}
    kinds = {(len(some) == 1, type(some[0]).__name__) for some in asked}
    assert kinds == {(one, kind) for one in (True, False) for kind in ('str', 'ndarray', 'Image')}


@pytest.mark.parametrize('survives', [True, False])
def test_a_worker_that_is_left_is_found(program, survives):
    """The child of a shell goes on after it; one whose input ends then does not."""
    child = 'exec sleep 60' if survives else 'read line'
    code = (
        'import os, subprocess, sys, time\n'
        'ends = [os.pipe() for _ in range(2)]\n'
        f'[subprocess.Popen(["sh", "-c", {child!r}], stdin=r) for r, _ in ends]\n'
        'time.sleep(60)\n'
    )
    module = program('left_workers')
    seconds, left = module.left_after(
        [sys.executable, '-c', code], 9, False, subprocess.DEVNULL, patience=0.5 if survives else 9
    )
    assert len(left) == (2 if survives else 0)
    assert (seconds >= 0.5) == survives


def small(program, *words):
    path = os.pathsep.join([str(TESTS.parent), os.environ.get('PYTHONPATH', '')])
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(TESTS / program), *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    'words',
    [
        ('queries', '--number', '4000'),
        ('predictions', '--number', '4000'),
        ('train', '--hours', '0.008'),
    ],
)
def test_memory_and_files_of_a_small_run(words, tmp_path):
    told = small('long_runs.py', *words, '--record', str(tmp_path / 'samples.jsonl'))
    assert 'open files +0' in told
    assert len((tmp_path / 'samples.jsonl').read_text().splitlines()) >= 50


@pytest.mark.slow
def test_no_worker_outlives_a_killed_parent():
    assert small('left_workers.py').count('0 of 2 workers left') == 6
