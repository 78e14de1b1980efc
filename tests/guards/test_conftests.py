"""The files that pytest loads before it distributes tests import nothing that takes seconds."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
LOAD_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path)
print(sorted({'torch', 'mmengine', 'mmpretrain', 'vit_plugins'} & set(sys.modules)))
"""


def test_conftests_leave_torch_and_the_package_to_the_fixtures():
    files = [TESTS / 'conftest.py', *sorted(TESTS.glob('test*/conftest.py'))]
    assert len(files) > 1
    command = [sys.executable, '-c', LOAD_ALL, *map(str, files)]
    # in the folder whose modules they may import
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TESTS)
    assert done.stdout == '[]\n', f'{done.stdout}: import these in a fixture, see conftest.py'
