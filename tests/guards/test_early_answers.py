"""Help and wrong arguments are answered before any slow import."""

import os
import re
import subprocess
import sys

import pytest

from vit_plugins.resources import resource_root

ROOT = resource_root()
COMMANDS = [
    *([str(file.relative_to(ROOT))] for file in sorted((ROOT / 'tools').rglob('*.py'))),
    ['-m', 'vit_plugins'],
    ['-m', 'vit_plugins', 'train'],
    ['-m', 'vit_plugins', 'bench'],
    ['-m', 'vit_plugins', 'list'],
    ['-m', 'vit_plugins', 'copy-config'],
]
SLOW = re.compile(r'\| +(torch|numpy|cv2|matplotlib|mmcv|mmengine|mmpretrain)$', re.M)


def answer(*words):
    """Run a command; return its exit code, its output and its imports."""
    done = subprocess.run(
        [sys.executable, '-X', 'importtime', *words],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_help(command):
    status, printed, imported = answer(*command, '--help')
    assert status == 0, imported
    assert 'usage:' in printed
    assert printed.isascii()  # a terminal of any encoding shows it
    assert SLOW.findall(imported) == []


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_wrong_argument(command):
    status, _, imported = answer(*command, '--no-such-option')
    if command == ['tools/kfold.py']:  # which hands it on to tools/train.py
        command = [*command, '--num-splits', 'many']
        status, _, imported = answer(*command)
    assert status == 2
    assert 'error:' in imported
    assert SLOW.findall(imported) == []


@pytest.mark.parametrize(
    'command',
    [
        ['tools/train.py', 'x.py'],
        ['-m', 'vit_plugins', 'list'],
        ['-m', 'vit_plugins', 'test', 'x'],
    ],
)
def test_without_mmpretrain_a_command_says_what_to_install(command):
    status, _, printed = answer('-S', *command)  # no packages but our own
    assert status == 1
    assert 'mmpretrain is missing' in printed
    assert 'pip install ' in printed


def test_the_pattern_finds_a_slow_import():
    assert SLOW.findall(answer('-c', 'import numpy')[2]) == ['numpy']
