"""Recognising processes that are commands of this package."""

import pytest

from vit_plugins.__main__ import TOOLS as COMMANDS
from vit_plugins.command_line.own_process import TOOLS as NAMES
from vit_plugins.command_line.own_process import is_own_command
from vit_plugins.resources import resource_root

TOOLS = resource_root() / 'tools'


@pytest.mark.parametrize(
    ('argv', 'words', 'own'),
    [
        ([str(TOOLS / 'train.py'), 'x.py'], ['python', 'tools/train.py', 'x.py'], True),
        (['/usr/bin/vit-plugins', 'train'], ['python', '/usr/bin/vit-plugins', 'train'], True),
        (['-m', 'train'], ['python', '-u', '-m', 'vit_plugins', 'train'], True),
        (['-m', 'x'], ['python', '-m', 'pytest', 'x'], False),
        ([str(TOOLS / 'x' / '..' / 'test.py')], ['python', '...'], True),
        (['-c'], ['python', '-c', 'import vit_plugins'], False),
        ([''], ['python'], False),
        ([], [], False),
        (['/home/me/tools/train.py'], ['python', '/home/me/tools/train.py'], False),
        ([str(TOOLS / 'benchmarks' / 'crop_coverage.py')], ['python', '...'], False),
        ([str(TOOLS / 'my_own.py')], ['python', 'tools/my_own.py'], False),
    ],
)
def test_which_processes_are_ours(argv, words, own):
    assert is_own_command(argv, words) is own


def test_every_tool_is_one():
    assert {file.stem for file in TOOLS.glob('*.py')} == set(NAMES)
    assert set(COMMANDS) <= set(NAMES)
