"""The command line of the installed package."""

import runpy
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from vit_plugins import __main__ as command
from vit_plugins.host.check import HostError
from vit_plugins.resources import resource_root


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match='0'):
        command.main(['--help'])
    text = capsys.readouterr().out
    assert all(
        name in text for name in ('train', 'predict', 'retrieve', 'study', 'list', 'copy-config')
    )


def test_unknown_command(capsys):
    assert command.main(['trian']) == 2
    assert 'there is no command trian: did you mean train?' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='2'):
        command.main(['xyz'])
    assert "'xyz'" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error(monkeypatch):
    monkeypatch.setattr(command, '_answer', Mock(side_effect=BrokenPipeError))
    monkeypatch.setattr(command.os, 'dup2', lambda *args: None)
    monkeypatch.setattr(command.sys.stdout, 'fileno', lambda: 1, raising=False)
    assert command.main(['list']) == 0


def test_a_host_that_does_not_work_is_told_in_words(monkeypatch, capsys):
    monkeypatch.setattr(command, 'register', Mock(side_effect=HostError('torch is missing')))
    assert command.main(['copy-config', 'photos', 'somewhere']) == 1
    assert capsys.readouterr().err == 'vit-plugins: torch is missing\n'


def test_list_shows_models_and_configs(capsys):
    assert command.main(['list']) == 0
    text = capsys.readouterr().out
    assert 'convit-tiny_3rdparty_in1k' in text
    assert 'convit_drloc_digits.py' in text
    assert '_base_' not in text.split('configs (in', 1)[1].split('):', 1)[1]


@pytest.mark.parametrize('pattern', ['swin', 'swin*', 'drloc/swin*'])
def test_list_takes_parts_and_globs(pattern, capsys):
    assert command.main(['list', pattern]) == 0
    text = capsys.readouterr().out
    assert 'swin-tiny-drloc_8xb128-100e.py' in text
    assert 'deit' not in text


@pytest.mark.parametrize(
    'words', [['list', 'convit-tiny-4xb'], ['copy-config', 'convit-tiny-4xb', '.']]
)
def test_unknown_name_gets_suggestions(words, capsys):
    assert command.main(words) == 2
    assert 'did you mean convit-tiny_4xb256_in1k' in capsys.readouterr().err


def test_name_far_from_all(capsys):
    assert command.main(['list', '@@@']) == 2
    assert 'see the list' in capsys.readouterr().err


def test_copy_replaces_no_edited_file(tmp_path, capsys):
    words = ['copy-config', 'convit_drloc_digits', str(tmp_path)]
    assert command.main(words) == 0
    assert f'train {tmp_path}/convit_drloc_digits.py' in capsys.readouterr().out
    assert command.main(words) == 0  # nothing was edited
    edited = tmp_path / 'convit_drloc_digits.py'
    edited.write_text('# mine')
    assert command.main(words) == 2
    assert 'convit_drloc_digits.py is there and differs' in capsys.readouterr().err
    assert edited.read_text() == '# mine'
    assert command.main([*words, '--force']) == 0
    assert edited.read_text() != '# mine'


@pytest.fixture
def calls(monkeypatch):
    """Return a list that records the tools that would run, with their command lines."""
    seen = []
    monkeypatch.setattr(sys, 'argv', ['pytest'])
    monkeypatch.setattr(
        runpy, 'run_path', lambda path, run_name: seen.append((path, run_name, sys.argv))
    )
    return seen


@pytest.mark.parametrize(
    ('tool', 'name'),
    [
        ('train', 'convit_drloc_digits.py'),
        ('test', 'convit_drloc_digits.py'),
        ('browse_augment', 'convit_drloc_digits.py'),
        ('study', 'retrieval/study_photos64.yaml'),
    ],
)
def test_tools_run_with_packaged_configs_by_name(tool, name, calls):
    assert command.main([tool, Path(name).stem, '--work-dir', 'w']) == 0
    root = resource_root()
    path = str(root / f'tools/{tool}.py')
    config = str(root / 'configs' / name)
    assert calls == [(path, '__main__', [path, config, '--work-dir', 'w'])]


def test_own_config_and_options_go_through(calls, tmp_path):
    own = tmp_path / 'own.py'
    own.touch()
    assert command.main(['train', '--resume', str(own)]) == 0
    assert calls[0][2][1:] == ['--resume', str(own)]


OTHERS = ['predict', 'retrieve', 'analyze_embeddings', 'convert_checkpoint']


@pytest.mark.parametrize('tool', OTHERS)
def test_other_tools_get_their_words_untouched(tool, calls):
    assert command.main([tool, 'work_dirs/x', 'a.png']) == 0
    assert calls[0][2][1:] == ['work_dirs/x', 'a.png']


def test_a_copied_study_is_run_by_the_study_tool(tmp_path, capsys):
    assert command.main(['copy-config', 'study_photos64_margin', str(tmp_path)]) == 0
    found = f'study {tmp_path}/retrieval/study_photos64_margin.yaml'
    assert found in capsys.readouterr().out
    assert (tmp_path / 'retrieval/study_photos64.yaml').is_file()
    assert (tmp_path / '_base_/studies/photos64_retrieval.py').is_file()


def test_data_in_a_file_are_no_recipe(calls, tmp_path):
    assert command.main(['train', 'convit_drloc_digits', '--data', 'mine.py']) == 0
    assert calls[0][2][2:] == ['--data', 'mine.py']


def test_a_recipe_that_is_gone_runs_nothing(calls, capsys):
    gone = 'configs/drloc/svhn/swin-tiny_8xb128-100e_svhn.py'
    assert command.main(['train', gone]) == 2
    told = f'{gone} is gone: use configs/drloc/swin-tiny_8xb128-100e.py --data svhn'
    assert told in capsys.readouterr().err
    assert calls == []


def test_a_dataset_is_no_recipe(capsys):
    assert command.main(['list', 'svhn']) == 2
    assert 'svhn is a dataset: put it into a recipe with --data svhn' in capsys.readouterr().err


def test_unknown_config_runs_nothing(calls, capsys):
    assert command.main(['train', 'convit_drloc_digit']) == 2
    assert 'did you mean convit_drloc_digits' in capsys.readouterr().err
    assert calls == []
