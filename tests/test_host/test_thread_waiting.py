"""How threads wait in our commands, and that other programs are not affected."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vit_plugins.host.thread_waiting import SPINS, spin_briefly
from vit_plugins.resources import resource_root

TOOLS = resource_root() / 'tools'


def test_what_the_user_chose_stays():
    for chosen in ({'OMP_WAIT_POLICY': 'ACTIVE'}, {'GOMP_SPINCOUNT': '7'}):
        environment = dict(chosen)
        spin_briefly(environment)
        assert environment == chosen
    environment = {'OMP_NUM_THREADS': '2'}
    spin_briefly(environment)
    assert environment == {'OMP_NUM_THREADS': '2', 'GOMP_SPINCOUNT': SPINS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('command', 'told'),
    [
        ([str(TOOLS / 'evidence.py'), '--check'], SPINS),
        (['-m', 'vit_plugins', 'copy-config', 'convit_drloc_digits', '{folder}'], SPINS),
        (['-c', 'import vit_plugins'], 'None'),
    ],
)
def test_before_torch_is_loaded(command, told, tmp_path):
    """Python runs sitecustomize first; it prints at the end what was set when torch was loaded."""
    (tmp_path / 'sitecustomize.py').write_text(
        'import os, sys\n'
        'class Watch:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name == "torch":\n'
        '            print("spins", os.environ.get("GOMP_SPINCOUNT"), file=sys.stderr)\n'
        'sys.meta_path.insert(0, Watch())\n'
    )
    environment = {k: v for k, v in os.environ.items() if k not in ('GOMP_SPINCOUNT',)}
    environment.pop('OMP_WAIT_POLICY', None)
    environment['PYTHONPATH'] = os.pathsep.join([str(tmp_path), *sys.path])
    words = [word.format(folder=tmp_path / 'copy') for word in command]
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f'spins {told}\n' in done.stderr


@pytest.mark.parametrize('file', sorted(TOOLS.glob('*.py')), ids=lambda file: file.name)
def test_tools_import_torch_through_the_package_alone(file: Path):
    """Importing the package sets how threads wait, before anything loads torch."""
    tree = ast.parse(file.read_text(encoding='utf-8'))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    ]
    others = {name for name in modules if name.split('.')[0] != 'vit_plugins'}
    assert others <= sys.stdlib_module_names | {'collections.abc'}
