"""The command line of the installed package."""

import runpy
import sys
from pathlib import Path

import pytest
from mmengine import Config

from vit_plugins import __main__ as command
from vit_plugins.resources import resource_root
from vit_plugins.studies.study_file import load_study_file


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match='0'):
        command.main(['--help'])
    text = capsys.readouterr().out
    assert all(
        name in text for name in ('train', 'predict', 'retrieve', 'study', 'list', 'copy-config')
    )


def test_unknown_command(capsys):
    with pytest.raises(SystemExit, match='2'):
        command.main(['trian'])
    assert "'trian'" in capsys.readouterr().err


def test_list_shows_models_and_configs(capsys):
    assert command.main(['list']) == 0
    text = capsys.readouterr().out
    assert 'convit-tiny_3rdparty_in1k' in text
    assert 'convit_drloc_digits.py' in text
    assert '_base_' not in text.split('configs (in', 1)[1].split('):', 1)[1]


def test_list_without_a_pattern_folds_the_folders_of_data_sets(capsys):
    assert command.main(['list']) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert 'drloc/svhn/ (35; list drloc/svhn)' in lines
    assert command.main(['list', 'drloc/svhn']) == 0
    text = capsys.readouterr().out
    assert 'drloc/svhn/swin-tiny_8xb128-100e_svhn.py' in text
    assert 'cifar' not in text.split('configs (in', 1)[1].split('):', 1)[1]


@pytest.mark.parametrize('pattern', ['swin', 'swin*', 'drloc/cifar100/swin*'])
def test_list_takes_parts_and_globs(pattern, capsys):
    assert command.main(['list', pattern]) == 0
    text = capsys.readouterr().out
    assert 'swin-tiny-drloc_8xb128-100e_cifar100.py' in text
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


@pytest.mark.parametrize(
    'name',
    [
        'convit-tiny_4xb256_in1k',
        'convit-tiny_4xb256_in1k.py',
        'convit/convit-tiny_4xb256_in1k.py',
        'configs/convit/convit-tiny_4xb256_in1k.py',
        'convit-tiny_3rdparty_in1k',
    ],
)
def test_config_is_found_by(name):
    expected = resource_root() / 'configs/convit/convit-tiny_4xb256_in1k.py'
    assert command.find_config(name) == expected


# The folders of one method's datasets hold the same recipes: those of one are copied here.
ONE_DATA_SET = [
    file
    for file in command.config_files()
    if file.parent.parent.name != 'drloc' or file.parent.name == 'cifar100'
]


@pytest.mark.parametrize('config', ONE_DATA_SET, ids=str)
def test_copied_config_is_the_same_config(config, tmp_path):
    copied = command.copy_config(str(config), tmp_path)
    assert copied == tmp_path / config
    original = resource_root() / 'configs' / config
    if config.suffix == '.yaml':
        study = load_study_file(copied)
        study['base'] = str(
            resource_root() / 'configs' / Path(study['base']).relative_to(tmp_path)
        )
        assert study == load_study_file(original)
    else:
        Config.fromfile(copied)  # all that it stands on is there, and is the same:
        for file in tmp_path.rglob('*.py'):
            there = resource_root() / 'configs' / file.relative_to(tmp_path)
            assert file.read_bytes() == there.read_bytes()


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
    """Record the tools that would run, with the command line each sees."""
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


def test_unknown_config_runs_nothing(calls, capsys):
    assert command.main(['train', 'convit_drloc_digit']) == 2
    assert 'did you mean convit_drloc_digits' in capsys.readouterr().err
    assert calls == []
