"""The content of an installation, and versions that must agree."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from contextlib import contextmanager
from email import message_from_string
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

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
    names = [re.split('[>=]', line)[0] for line in required]
    assert names == ['torch', 'torchvision', 'numpy', 'jinja2']
    extras = setup_constant('EXTRAS')
    for line in required + extras['host'] + extras['test'] + extras['export'] + extras['look']:
        assert re.fullmatch(r'[a-z\d-]+>=[\d.]+', line), line


def test_required_versions_are_those_the_host_check_accepts():
    lines = setup_constant('REQUIRED') + setup_constant('EXTRAS')['host']
    assert host_problem([], dict(line.split('>=') for line in lines)) is None


def test_ruff_is_pinned_alike():
    hooks = (ROOT / '.pre-commit-config.yaml').read_text()
    pinned = re.search(r'ruff-pre-commit\n\s+rev: v([\d.]+)', hooks)[1]
    assert setup_constant('EXTRAS')['lint'] == [f'ruff=={pinned}']


def test_builds_without_isolation_have_what_builds_with_it_have():
    text = (ROOT / 'pyproject.toml').read_text()
    needed = re.findall(r'"(.+?)"', re.search(r'^requires = \[(.+)]$', text, re.M)[1])
    assert len(needed) == 2
    assert set(needed) <= set(setup_constant('EXTRAS')['test'])


def git(*words, cwd=ROOT):
    done = subprocess.run(['git', *words], cwd=cwd, capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else []


def test_changelog_has_a_section_for_each_release():
    first, *others = re.findall(r'^## (.+)$', (ROOT / 'CHANGELOG.md').read_text(), re.M)
    assert first == '[Unreleased]'
    sections = [re.fullmatch(r'\[(\d+)\.(\d+)\.(\d+)] - (\d{4}-\d\d-\d\d)', o) for o in others]
    assert all(sections), others
    versions = [tuple(map(int, section.groups()[:3])) for section in sections]
    dates = [section[4] for section in sections]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)
    released = [tag[1:] for tag in git('tag', '--list', 'v*')]
    assert set(released) <= {'.'.join(map(str, version)) for version in versions}


def test_citation_names_the_papers_of_the_model_index():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    cited = {reference['title']: reference['url'] for reference in citation['references']}
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    papers = {}
    for file in index['Import']:
        for collection in yaml.safe_load((ROOT / file).read_text())['Collections']:
            paper = (
                collection['Paper'] if 'Paper' in collection else collection['Metadata']['Paper']
            )
            papers[paper['Title']] = paper['URL']
    assert papers == cited


def can_build_wheels():
    if find_spec('setuptools_scm') is None:
        return False
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
    """Return a copy to build from, so that the checkout does not change."""
    if not can_build_wheels():
        pytest.skip('needs setuptools >= 70.1 and setuptools-scm: pip install -e ".[test]"')
    copy = tmp_path_factory.mktemp('copy') / 'checkout'
    ignore = shutil.ignore_patterns(
        '.git',
        '.*_cache',
        '.venv*',
        'work_dirs',
        'data',
        'build',
        'dist',
        '*.egg-info',
        '__pycache__',
    )
    return shutil.copytree(ROOT, copy, ignore=ignore)


@pytest.fixture(scope='module')
def sdist(checkout, tmp_path_factory):
    """Build an sdist of the commit with the tag v9.8.7."""
    folder = tmp_path_factory.mktemp('sdist')
    build = 'import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])'
    with tagged(checkout, 'v9.8.7'):
        run('-c', build, str(folder), cwd=checkout)
    (path,) = folder.glob('*.tar.gz')
    return path


@contextmanager
def tagged(folder, tag=None):
    """Turn a folder into a repository with one tagged commit for a while."""
    user = ('-c', 'user.name=test', '-c', 'user.email=test@localhost')
    git('init', '-q', cwd=folder)
    git('add', '-A', cwd=folder)
    git(*user, 'commit', '-q', '--no-verify', '-m', 'all', cwd=folder)
    if tag:
        git(*user, 'tag', tag, cwd=folder)
    yield
    shutil.rmtree(folder / '.git')


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
    """Build a wheel from the sdist."""
    folder = tmp_path_factory.mktemp('wheel')
    run(*PIP, 'wheel', *OFFLINE, '-w', str(folder), str(sdist), cwd=folder)
    (path,) = folder.glob('*.whl')
    return path


def version_of(folder):
    return run('setup.py', '--quiet', '--version', cwd=folder).split()[-1]


@pytest.mark.slow
def test_version_is_that_of_the_tag(checkout):
    assert version_of(checkout) == '0.0.dev0'  # no git at all
    with tagged(checkout):
        assert re.fullmatch(r'0\.\d\.dev1\+g\w+', version_of(checkout))  # as in a shallow clone
    with tagged(checkout, 'v1.2.3'):
        assert version_of(checkout) == '1.2.3'


@pytest.mark.slow
def test_sdist_is_complete(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    folders = ('.ci', 'configs', 'docs', 'tests', 'tools', 'vit_plugins')
    files = [path for folder in folders for path in (ROOT / folder).rglob('*')]
    files += [*ROOT.glob('*.*'), ROOT / 'LICENSE', ROOT / '.pre-commit-config.yaml']
    ours = {
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and path.suffix != '.pyc' and path.name != '.git'
    }
    not_for_users = {name for name in ours if name in ('.gitignore', '.gitattributes')}
    assert ours - names == not_for_users


@pytest.mark.slow
def test_metadata_of_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (file,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        about = message_from_string(archive.read(file).decode())
        (scripts,) = (n for n in archive.namelist() if n.endswith('.dist-info/entry_points.txt'))
        assert 'vit-plugins = vit_plugins.__main__:main' in archive.read(scripts).decode()
    assert (about['Name'], about['Version']) == ('vit-plugins', '9.8.7')
    assert set(about['Requires-Python'].split(',')) == {'>=3.10', '<3.14'}
    assert about['License'] == 'Apache-2.0'
    assert about['License-File'] == 'LICENSE'
    assert about['Description-Content-Type'] == 'text/markdown'
    text = about.get_payload()
    assert '# vit_plugins' in text
    assert re.findall(r'\]\((?!https?://)', text) == []  # links that lead nowhere on an index
    extras = {
        extra: {line.split(';')[0] for line in about.get_all('Requires-Dist') if extra in line}
        for extra in about.get_all('Provides-Extra')
    }
    assert extras['all'] == extras['host'] | extras['retrieval'] | extras['test']


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
