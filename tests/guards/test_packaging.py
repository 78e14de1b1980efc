"""What an installation holds, and that all numbers that must agree do."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from vit_plugins import __version__
from vit_plugins.host.check import host_problem

ROOT = Path(__file__).parents[2]
PIP = ('-m', 'pip', '--quiet', '--no-input')
OFFLINE = ('--no-deps', '--no-index', '--no-build-isolation')


def setup_constant(name):
    """Read a literal of setup.py without running it."""
    for node in ast.parse((ROOT / 'setup.py').read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f'setup.py has no {name}')


def test_requirements_have_lower_bounds_only():
    required = setup_constant('REQUIRED')
    assert [re.split('[>=]', line)[0] for line in required] == ['torch', 'torchvision', 'numpy']
    extras = setup_constant('EXTRAS')
    for line in required + extras['host'] + extras['test']:
        assert re.fullmatch(r'[a-z-]+>=[\d.]+', line), line


def test_required_versions_are_those_the_host_check_accepts():
    lines = setup_constant('REQUIRED') + setup_constant('EXTRAS')['host']
    assert host_problem([], dict(line.split('>=') for line in lines)) is None


def test_ruff_is_pinned_alike():
    hooks = (ROOT / '.pre-commit-config.yaml').read_text()
    pinned = re.search(r'ruff-pre-commit\n\s+rev: v([\d.]+)', hooks)[1]
    assert setup_constant('EXTRAS')['lint'] == [f'ruff=={pinned}']


def test_changelog_has_the_version():
    assert f'## [{__version__}]' in (ROOT / 'CHANGELOG.md').read_text()


def can_build_wheels():
    major, minor = map(int, metadata.version('setuptools').split('.')[:2])
    return (major, minor) >= (70, 1) or any(d.name == 'wheel' for d in metadata.distributions())


def run(*words, cwd, **variables):
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A copy to build from: the checkout stays as it is."""
    if not can_build_wheels():
        pytest.skip('needs setuptools >= 70.1: pip install -e ".[test]"')
    copy = tmp_path_factory.mktemp('copy') / 'checkout'
    ignore = shutil.ignore_patterns(
        '.*', 'work_dirs', 'data', 'build', 'dist', '*.egg-info', '__pycache__'
    )
    return shutil.copytree(ROOT, copy, ignore=ignore)


@pytest.fixture(scope='module')
def wheel(checkout, tmp_path_factory):
    """A wheel built from the sdist."""
    folder = tmp_path_factory.mktemp('build')
    build = 'import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])'
    run('-c', build, str(folder), cwd=checkout)
    (sdist,) = folder.glob('*.tar.gz')
    run(*PIP, 'wheel', *OFFLINE, '-w', str(folder), str(sdist), cwd=folder)
    (path,) = folder.glob('*.whl')
    return path


@pytest.mark.slow
def test_wheel_from_the_sdist_carries_the_resources(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ('configs', 'tools'):
        ours = {
            f'vit_plugins/.mim/{path.relative_to(ROOT)}'
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and path.suffix != '.pyc'
        }
        assert ours <= names
    assert 'vit_plugins/.mim/model-index.yml' in names
    assert 'vit_plugins/py.typed' in names  # types are there for users' checkers
    assert {str(p.relative_to(ROOT)) for p in (ROOT / 'vit_plugins').rglob('*.py')} <= names
    assert not [name for name in names if name.startswith('tests/') or name.endswith('.pyc')]


@pytest.mark.slow
def test_installed_wheel_works_from_another_folder(wheel, tmp_path):
    site, elsewhere = tmp_path / 'site', tmp_path / 'elsewhere'
    elsewhere.mkdir()
    run(*PIP, 'install', *OFFLINE, '--target', str(site), str(wheel), cwd=elsewhere)

    def installed(*words):
        return run(*words, cwd=elsewhere, PYTHONPATH=str(site))

    code = 'from vit_plugins.resources import resource_root as r; print(r())'
    assert installed('-c', code).strip().endswith(str(site / 'vit_plugins/.mim'))
    assert 'convit_drloc_digits.py' in installed('-m', 'vit_plugins', 'list', 'convit*')
    code = (
        'import vit_plugins, mmpretrain; '
        'print(type(mmpretrain.get_model("convit-tiny_4xb256_in1k").backbone).__name__)'
    )
    assert installed('-c', code).strip().endswith('ConViT')
    assert '--arch' in installed('-m', 'vit_plugins', 'convert_checkpoint', '--help')
    installed('-m', 'vit_plugins', 'train', 'convit_drloc_digits', '--check', '--work-dir', 'w')


@pytest.mark.slow
def test_editable_install_reads_the_checkout(checkout, tmp_path):
    target = str(tmp_path / 'site')
    run(*PIP, 'install', *OFFLINE, '--target', target, '-e', str(checkout), cwd=tmp_path)
    code = (
        f'import site, sys; site.addsitedir({target!r}); '
        f'sys.path.append({sysconfig.get_path("purelib")!r}); '
        'from vit_plugins.resources import resource_root as r; print(r())'
    )
    # -I: without the folder where this runs and without PYTHONPATH; -S: without the finder of an
    # editable install that the environment itself may have, as that of CI does
    assert run('-I', '-S', '-c', code, cwd=tmp_path).strip().endswith(str(checkout))
