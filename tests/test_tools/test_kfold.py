import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from vit_plugins.command_line.commands import kfold
from vit_plugins.config_edits.walking import image_size

ROOT = Path(__file__).parents[2]


def test_config_that_cannot_be_cut_is_told_in_words(job, tmp_path):
    wrap = '\ntrain_dataloader["dataset"] = dict(type="RepeatDataset", times=2, dataset='
    path = job('wrapped', f'{wrap}train_dataloader["dataset"])\n')
    with pytest.raises(SystemExit, match='got RepeatDataset'):
        runpy.run_path(str(ROOT / 'tools/kfold.py'))['main'](
            [str(path), '--work-dir', str(tmp_path)]
        )


def test_config_that_is_not_there_is_told_in_words():
    with pytest.raises(SystemExit, match=r'nowhere'):
        runpy.run_path(str(ROOT / 'tools/kfold.py'))['main'](['nowhere.py'])


def test_another_image_size_is_that_of_all_folds(monkeypatch, capsys):
    seen = []

    def run_folds(cfg, *args):
        seen.append((image_size(cfg), args[-1]))
        return []

    monkeypatch.setattr(kfold, 'run_folds', run_folds)
    monkeypatch.setattr(kfold, 'fold_table', str)
    tool = runpy.run_path(str(ROOT / 'tools/kfold.py'))['main']
    tool(['photos-scratch', '--img-size', '96', '--amp'])  # a recipe by its name, as in train
    assert seen == [(96, ['--amp'])]  # a fold has no `size`, so nothing of it is passed on


@pytest.mark.slow
def test_two_folds_from_the_command_line(job, predict_tool, tmp_path, capsys):
    command = [sys.executable, str(ROOT / 'tools/kfold.py'), str(job()), '--num-splits', '2']
    command += ['--work-dir', str(tmp_path), '--cfg-options', 'train_cfg.max_epochs=1']
    command += ['--no-pin-memory']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = done.stdout.split('\n\n')[-1].splitlines()
    assert [line.split()[0] for line in table] == ['fold', '0', '1', 'mean', 'deviation']
    first, second, mean = (float(line.split()[-1]) for line in table[1:4])
    assert mean == pytest.approx((first + second) / 2, abs=0.006)
    assert len(list(tmp_path.glob('fold*/epoch_1.pth'))) == 2
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.stdout.split('\n\n')[-1].splitlines() == table
    predict_tool.main(
        [str(tmp_path / 'fold0'), str(job().parent / 'val' / 'dark')]
    )  # it has no test
    assert '12 images classified' in ''.join(capsys.readouterr())


def test_help_tells_which_images_are_not_used(capsys):
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / 'tools/kfold.py'))['main'](['--help'])
    assert '--data-root those of val/ and test/) are not used' in capsys.readouterr().out
