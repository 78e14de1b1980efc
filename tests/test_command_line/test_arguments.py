"""The arguments that tools share."""

import argparse

import pytest
from mmengine.config import DictAction

from vit_plugins.command_line.arguments import ConfigOptions, add_shared_arguments


@pytest.mark.parametrize('words', [['a.b=1'], ['a=[1,2]', 'b=x,y'], ['a=(1,[2.5,None])', 'a="t"']])
def test_config_options_are_read_as_mmengine_reads_them(words):
    found = []
    for action in (ConfigOptions, DictAction):
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=action)
        found.append(parser.parse_args(['--cfg-options', *words]).cfg_options)
    assert found[0] == found[1]
    assert isinstance(found[0], dict)


def test_shared_arguments_have_mmpretrains_names_and_defaults():
    parser = argparse.ArgumentParser()
    add_shared_arguments(parser)
    args = parser.parse_args(['--local-rank', '1', '--launcher', 'slurm'])
    assert (args.local_rank, args.launcher, args.amp, args.cfg_options) == (
        1,
        'slurm',
        False,
        None,
    )


def test_a_setting_without_a_value_is_told(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a=1', 'b'])
    assert "--cfg-options takes KEY=VALUE, without spaces, got 'b'" in capsys.readouterr().err
