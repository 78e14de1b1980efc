import os
import subprocess
import sys
from pathlib import Path

import pytest

from vit_plugins.fileio import file_lock
from vit_plugins.fileio.file_lock import acquire

ROOT = Path(__file__).parents[1]
WITHOUT = "import sys; sys.modules['fcntl'] = None; import vit_plugins, vit_plugins.studies.{}"
HOLD = """
import fcntl, sys
file = open(sys.argv[1], 'w')
fcntl.{}(file, fcntl.LOCK_EX)
print('held', flush=True)
input()
"""


@pytest.fixture
def said(logged_by):
    return logged_by(file_lock)


@pytest.mark.slow
def test_the_package_needs_no_locks():
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT.format('cell_folder')],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(('call', 'inherited'), [('flock', True), ('lockf', False)])
def test_what_another_process_holds_is_refused(tmp_path, call, inherited):
    path = tmp_path / 'lock'
    command = [sys.executable, '-c', HOLD.format(call), str(path)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as other:
        other.stdout.readline()
        with path.open('r+') as file:
            assert not acquire(file.fileno(), 'x', inherited=inherited)
            assert not acquire(file.fileno(), 'x', inherited=inherited, shared=True)
        other.communicate(b'\n')
    with path.open('r+') as file:
        assert acquire(file.fileno(), 'x', inherited=inherited)


def test_shared_locks_do_not_exclude_each_other(tmp_path):
    path = tmp_path / 'lock'
    path.touch()
    with path.open('r+') as one, path.open('r+') as two:
        assert acquire(one.fileno(), 'x', shared=True, inherited=True)
        assert acquire(two.fileno(), 'x', shared=True, inherited=True)
        assert not acquire(two.fileno(), 'x', inherited=True)


@pytest.mark.parametrize('wait', [True, False])
def test_without_locks_it_goes_on(tmp_path, monkeypatch, said, wait):
    monkeypatch.setattr(file_lock, 'fcntl', None)
    assert acquire(0, 'x', wait=wait, advice='start no other run')
    assert acquire(0, 'x', wait=wait)
    assert said == ['x cannot be locked (this system has no locks): start no other run']
