"""A training that is killed at any point, also while writing, ends like an uninterrupted one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_kills(tmp_path):
    """KILLS=500 in the environment kills 500 times."""
    path = os.pathsep.join([str(TESTS.parent), os.environ.get('PYTHONPATH', '')])
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    kills = os.environ.get('KILLS', '30')
    command = [sys.executable, str(TESTS / 'kill_matrix.py'), kills]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.splitlines()[-1].split()[0]) >= int(kills)
