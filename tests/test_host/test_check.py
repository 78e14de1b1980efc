"""Each message about an unsuitable host; the hosts are simulated."""

import importlib
import os
import subprocess
import sys
from importlib import metadata

import pytest

from vit_plugins.host import check as host

FIT = {
    'torch': '2.15.0',
    'torchvision': '0.29.2+cpu',
    'mmengine': '0.10.7',
    'mmcv-lite': '2.2.0',
    'mmpretrain': '1.2.0',
}
FORK = {
    'torch': '2.15.0',
    'torchvision': '0.29.2',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
}


def without(versions, *names):
    return {name: version for name, version in versions.items() if name not in names}


@pytest.mark.parametrize(
    'installed', [FIT, FORK, {**FIT, 'mmengine': '0.11.0rc3'}, {}, {**FIT, 'torch': '2.1.2+cu121'}]
)
def test_fit_hosts_pass(installed):
    assert host.host_problem([], installed) is None


@pytest.mark.parametrize(
    ('module', 'line'),
    [
        ('mmcv', 'pip install "mmcv-lite>=2.0.0,<2.4.0"'),
        ('mmengine', 'pip install "mmengine>=0.9.1,<1.0.0"'),
        ('mmpretrain', 'pip install "mmpretrain>=1.2.0"'),
        ('torchvision', 'pip install "torchvision>=0.16"'),
    ],
)
def test_missing_module_is_named_with_its_line(module, line):
    distribution = 'mmcv-lite' if module == 'mmcv' else module
    message = host.host_problem([module], without(FIT, distribution))
    assert f'{module} is missing' in message
    assert message.endswith(f'\n    {line}')


def test_several_faults_share_one_line():
    message = host.host_problem(['mmcv', 'torchvision'], without(FIT, 'mmcv-lite', 'torchvision'))
    assert message.count('pip install') == 1
    assert 'torchvision is missing; mmcv is missing' in message


def test_forks_are_mended_with_forks():
    message = host.host_problem(['mmcv'], without(FORK, 'onedl-mmcv'))
    assert message.endswith('pip install "onedl-mmcv>=2.0.0,<2.4.0"')


def test_mmcv_whose_files_went_with_mmcv_lite():
    message = host.host_problem(['mmcv'], {**without(FIT, 'mmcv-lite'), 'mmcv': '2.2.0'})
    assert message.endswith('pip uninstall -y mmcv && pip install "mmcv-lite>=2.0.0,<2.4.0"')


@pytest.mark.parametrize(
    ('name', 'version', 'line'),
    [
        ('mmpretrain', '1.1.1', 'pip uninstall -y mmpretrain && pip install "mmpretrain>=1.2.0"'),
        ('mmengine', '0.7.4', 'pip install "mmengine>=0.9.1,<1.0.0"'),
        ('mmengine', '1.0.0', 'pip install "mmengine>=0.9.1,<1.0.0"'),
        ('mmcv-lite', '2.4.0', 'pip install "mmcv-lite>=2.0.0,<2.4.0"'),
        ('torch', '2.0.1', '\n    pip install "torch>=2.1"'),
        ('torchvision', '0.15.2', '\n    pip install "torchvision>=0.16"'),
    ],
)
def test_unsupported_version_is_named_with_its_line(name, version, line):
    message = host.host_problem([], {**FIT, name: version})
    assert f'{name} {version} is not supported' in message
    assert message.endswith(line)


def test_too_old_full_mmcv_is_removed_first():
    message = host.host_problem([], {**without(FIT, 'mmcv-lite'), 'mmcv': '1.7.2'})
    assert 'pip uninstall -y mmcv && pip install "mmcv-lite' in message


def test_two_owners_of_one_folder():
    message = host.host_conflict({**FIT, 'mmcv': '2.2.0'})
    assert 'mmcv-lite and mmcv are both installed' in message
    assert 'pip uninstall -y mmcv-lite mmcv && pip install "mmcv-lite' in message
    assert host.host_conflict(FIT) is None
    assert host.host_conflict(FORK) is None


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (TypeError('NoneType takes no arguments'), 'pip uninstall -y pycocotools'),
        (
            RuntimeError('operator torchvision::nms does not exist'),
            '--force-reinstall',
        ),
        (OSError('libfoo.so'), r'OSError: libfoo.so'),
    ],
)
def test_host_that_does_not_import(error, line, monkeypatch):
    def fail(name):
        raise error

    monkeypatch.setattr(host, 'import_module', fail)
    with pytest.raises(host.HostError, match=line):
        host.check_host()


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        (
            'MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4, <2.2.0.',
            r'mmdet, .*older MMCV\. This .*\n    pip install "mmcv-lite>=2\.0\.0,<2\.2\.0"\n.*\n'
            '    pip uninstall -y mmdet$',
        ),
        (
            'MMEngine==0.10.7 is used but incompatible. Please install mmengine>=0.7.1, <0.9.5.',
            r'pip install "mmengine>=0\.9\.1,<0\.9\.5"',
        ),
    ],
)
def test_detection_beside_a_newer_mmcv(text, line, monkeypatch, tmp_path):
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet' / '__init__.py').write_text(f'assert False, {text!r}')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(host, '_installed', lambda: FIT)
    monkeypatch.setattr(host, 'import_module', lambda name: importlib.import_module('mmdet'))
    with pytest.raises(host.HostError, match=line):
        host.check_host()


def test_a_cache_that_another_rank_is_writing_is_read_again(monkeypatch):
    errors, imported, pauses = [EOFError(), EOFError()], [], []

    def import_module(name):
        if errors:
            raise errors.pop()
        imported.append(name)

    monkeypatch.setattr(host, 'import_module', import_module)
    monkeypatch.setattr(host.time, 'sleep', pauses.append)
    host.check_host()
    assert imported == ['mmengine', 'mmpretrain.models']
    assert pauses == [0.1, 0.5]


CUT_OFF = """
import sys
import time
from pathlib import Path
file = next(Path(sys.argv[1]).rglob('PatternGrammar*.pickle'))
whole = file.read_bytes()
file.write_bytes(b'')
time.sleep = lambda seconds: file.write_bytes(whole if sys.argv[2] == 'mended' else b'')
import vit_plugins
print(vit_plugins.__version__)
"""


@pytest.mark.slow
def test_the_real_cache_of_yapf_cut_off(tmp_path):
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(sys.path),
        'XDG_CACHE_HOME': str(tmp_path),
    }

    def python(*words):
        return subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True
        )

    assert python('-c', 'import yapf').returncode == 0
    mended = python('-c', CUT_OFF, str(tmp_path), 'mended')
    assert mended.returncode == 0, mended.stderr
    broken = python('-c', CUT_OFF, str(tmp_path), 'broken')
    assert broken.stderr.rstrip().endswith(f'rm -r {tmp_path}/YAPF'), broken.stderr


def test_check_raises_what_is_found(monkeypatch):
    monkeypatch.setattr(host, 'find_spec', lambda name: None if name == 'mmcv' else metadata)
    monkeypatch.setattr(metadata, 'origin', __file__, raising=False)
    with pytest.raises(ImportError, match='mmcv is missing'):
        host.check_host()


def test_check_warns_of_two_owners(monkeypatch):
    monkeypatch.setattr(host, '_installed', lambda: {**FIT, 'mmcv': '2.2.0'})
    with pytest.warns(UserWarning, match='both installed'):
        host.check_host()


CONFIG = "custom_imports = dict(imports=['vit_plugins'], allow_failed_imports=False)\n"
HIDE = """
import sys
import importlib.util as u
find = u.find_spec
u.find_spec = lambda name, package=None: None if name == 'mmpretrain' else find(name, package)
from mmengine import Config
Config.fromfile(sys.argv[1])
"""


def test_message_survives_custom_imports(tmp_path):
    """MMEngine replaces the text of an ImportError, but Python also prints the original."""
    config = tmp_path / 'config.py'
    config.write_text(CONFIG)
    run = subprocess.run(
        [sys.executable, '-c', HIDE, str(config)],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.count('pip install "') == 1, run.stderr
