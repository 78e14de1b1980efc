"""The tools on a training that diverges: they stop, say why, and keep useful files."""

import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from test_train import TOOLS, environment

from vit_plugins.command_line.commands import train as train_command
from vit_plugins.evaluation.functional.finite import non_finite_weights

DIVERGING = """
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e30))
param_scheduler = None
"""


@pytest.fixture(scope='module')
def finished(job, train_tool, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('finished')
    options = ['--no-validate', '--cfg-options', 'train_cfg.max_epochs=2']
    train_tool.main([str(job()), '--work-dir', str(folder), *options])
    return folder


def spoil(folder: Path, name: str) -> Path:
    """Write the weights of a diverged training as the newest checkpoint."""
    content = CheckpointLoader.load_checkpoint(str(folder / 'epoch_2.pth'))
    for weight in content['state_dict'].values():
        weight.fill_(float('nan'))
    torch.save(content, folder / name)
    return folder / name


def non_finite(path: Path) -> list[str]:
    return non_finite_weights(CheckpointLoader.load_checkpoint(str(path))['state_dict'])


@pytest.mark.parametrize('batch_size', [8, 24])
def test_a_diverged_training_stops_and_names_the_files(job, train_tool, tmp_path, batch_size):
    """Also if it ends before there are enough such losses in a row."""
    added = DIVERGING + f'train_dataloader.update(batch_size={batch_size})\n'
    flags = ['--work-dir', str(tmp_path), '--no-validate']
    words = r'not finite .*step [234], .* was 1e\+30 .*train/\w+/\d+\.png'
    with pytest.raises(SystemExit, match=words):
        train_tool.main([str(job('diverging', added)), *flags])
    assert not list(tmp_path.glob('epoch_[3-9].pth'))
    assert not any(map(non_finite, tmp_path.glob('*.pth')))


def test_resume_passes_over_weights_that_are_not_finite(finished, job, train_tool, monkeypatch):
    said = []
    monkeypatch.setattr(
        'vit_plugins.weights.newest_checkpoint.print_log', lambda text, **_: said.append(text)
    )
    spoilt = spoil(finished, 'epoch_3.pth')
    args = train_tool.parse_args([str(job()), '--work-dir', str(finished), '--resume'])
    cfg = train_command.complete_config(args)
    spoilt.unlink()
    assert cfg.load_from == str(finished / 'epoch_2.pth')
    assert said[0].startswith(f'{spoilt} holds weights that are not finite (such as backbone.')


def test_resume_refuses_to_go_on_from_them(finished, job, train_tool, tmp_path):
    spoilt = spoil(finished, 'spoilt.pth')
    flags = ['--work-dir', str(tmp_path), '--resume', str(spoilt)]
    with pytest.raises(SystemExit, match=r'spoilt\.pth holds weights that are not finite'):
        train_tool.main([str(job()), *flags])


@pytest.mark.parametrize('spoilt', [True, False])
def test_test_refuses_weights_and_scores(finished, job, test_tool, tmp_path, spoilt):
    """Scores may overflow with finite weights, too."""
    path = spoil(finished, 'spoilt.pth') if spoilt else finished / 'epoch_2.pth'
    flags = ['--work-dir', str(tmp_path)]
    flags += [] if spoilt else ['--cfg-options', 'data_preprocessor.std=[0,0,0]']
    words = r'spoilt\.pth holds weights' if spoilt else r'the pred_score of .*\.png is not finite'
    with pytest.raises(SystemExit, match=words):
        test_tool.main([str(job()), str(path), *flags])


def test_predict_refuses_scores(finished, job, predict_tool, tmp_path):
    spoil(finished, 'spoilt.pth')
    image = next(job().parent.glob('val/*/*.png'))
    flags = ['--config', str(job()), '--checkpoint', str(finished / 'spoilt.pth')]
    out = tmp_path / 'out.csv'
    with pytest.raises(SystemExit, match=rf'the pred_score of {image} is not finite'):
        predict_tool.main([str(finished), str(image), '--out', str(out), *flags])
    assert len(out.read_text().splitlines()) == 1  # the titles alone


NO_BATCH = 'train_dataloader.update(batch_size=48, drop_last=True)\n'


@pytest.mark.slow
def test_no_step_at_all_is_refused(job, train_tool, tmp_path):
    added = NO_BATCH.replace('48', '49')
    for flags in ([], ['--check']):
        with pytest.raises(SystemExit, match=r'48 training images on 1 rank.* batch of 49'):
            train_tool.main([str(job('short', added)), '--work-dir', str(tmp_path), *flags])
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='two ranks of a CPU')
@pytest.mark.parametrize('own_folder', [True, False])
def test_ranks_are_counted(job, tmp_path, own_folder):
    """48 images fill a batch of one rank, but no batch of two ranks."""
    config = job('shared', NO_BATCH)
    command = ['bash', str(TOOLS / 'dist_train.sh'), str(config), '2', '--work-dir', str(tmp_path)]
    command += ['--data-root', str(config.parent)] if own_folder else []
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert 'do not fill one batch of 48' in result.stderr
    assert '24 for each' in result.stderr
    assert not list(tmp_path.glob('*.pth'))
