"""The terminal output of a training, and its end after a signal."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from test_train import TOOLS, environment

from vit_plugins.command_line.commands import train as train_command

ADDED = """
train_dataloader['dataset'] = dict(
    type='ImageFolder', data_root='{0}/photos', part='train', pipeline=pipeline)
val_dataloader['dataset'] = dict(
    type='ImageFolder', data_root='{0}/photos', part='val', pipeline=pipeline, test_mode=True)
train_cfg['max_epochs'] = 2
"""
BY_STEPS = """
train_cfg = dict(by_epoch=False, max_iters=20, val_interval=20)
train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
param_scheduler = None
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=20))
"""


@pytest.fixture
def photos(tmp_path, write_shades):
    write_shades(tmp_path / 'photos')
    return tmp_path


def test_report_and_short_terminal(photos, job, train_tool, capfd):
    config = job('talk', ADDED.format(photos))
    train_tool.main([str(config), '--work-dir', str(photos / 'w')])
    out = ''.join(capfd.readouterr())
    assert len(out.splitlines()) < 60
    assert 'Device: cpu' in out
    assert '24 images to train on, 6 to validate; 2 epochs, 6 steps of 8' in out
    assert 'largest class 33.3 %, colour histogram + extra trees' in out
    assert f'vit-plugins predict {photos / "w"} NEW_PHOTOS' in out
    assert 'Config:' not in out
    assert 'Config:' in next((photos / 'w').glob('*/*.log')).read_text()
    report = (photos / 'w' / 'report.txt').read_text()
    assert report.startswith('Best epoch: ')
    assert report in out


def test_verbose_shows_all_and_baselines_can_be_left_out(photos, job, train_tool, capfd):
    config = job('verbose', ADDED.format(photos))
    words = [str(config), '--work-dir', str(photos / 'w'), '--verbose', '--no-baselines']
    train_tool.main(words)
    out = ''.join(capfd.readouterr())
    assert 'Config:' in out
    assert 'without a network' not in out


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='two ranks of a CPU')
def test_two_ranks_count_each_image_once(photos, job):
    """For 9 validation images, the sampler gives two ranks 10."""
    for folder in (photos / 'photos').iterdir():
        for i in range(5):
            shutil.copy(folder / f'{i}.png', folder / f'more{i}.png')
    config = job('ranks', ADDED.format(photos))
    subprocess.run(
        ['bash', str(TOOLS / 'dist_train.sh'), str(config), '2', '--work-dir', str(photos / 'w')],
        cwd=photos,
        env=environment(),
        check=True,
        capture_output=True,
    )
    report = (photos / 'w' / 'report.txt').read_text()
    shown = re.search(r'accuracy ([\d.]+) % \((\d) of (\d+) images', report)
    log = next((photos / 'w').glob('*/*.log')).read_text()
    measured = max(map(float, re.findall(r'accuracy/top1: ([\d.]+)', log)))
    assert shown[3] == '9'
    assert float(shown[1]) == pytest.approx(measured, abs=0.05)


@pytest.fixture
def signalled():
    """Add a hook that sends a signal to its own process in the middle of a step."""

    class Signals(Hook):
        def __init__(self, number, step):
            self.number, self.step = number, step

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == self.step:
                os.kill(os.getpid(), self.number)

    HOOKS.register_module(module=Signals, name='SignalsOfATest', force=True)
    yield "\ncustom_hooks = [dict(type='SignalsOfATest', number={}, step={})]\n"
    HOOKS.module_dict.pop('SignalsOfATest')


OTHERS = [(signal.SIGINT, '130'), (getattr(signal, 'SIGUSR1', signal.SIGTERM), '75')]


@pytest.mark.parametrize(
    ('number', 'code'),
    [(signal.SIGTERM, '75'), *(pytest.param(*x, marks=pytest.mark.slow) for x in OTHERS)],
)
def test_a_stop_says_how_to_go_on(photos, job, train_tool, signalled, capfd, number, code):
    added = ADDED.format(photos) + signalled.format(int(number), 4)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit, match=code):
        train_tool.main([str(job('stop', added)), '--work-dir', str(photos / 'w')])
    assert signal.getsignal(number) == before
    out = ''.join(capfd.readouterr())
    assert f'Stopped; iter_5.pth of {photos / "w"} is saved. To go on: ' in out
    assert '--resume' in out


@pytest.mark.slow
def test_a_training_by_steps_saves_the_last_one_and_goes_on(
    photos, job, train_tool, signalled, capfd
):
    stopping = job('steps', BY_STEPS + signalled.format(int(signal.SIGINT), 6))
    words = ['--work-dir', str(photos / 'w')]
    with pytest.raises(SystemExit, match='130'):
        train_tool.main([str(stopping), *words])
    assert 'Stopped; iter_7.pth' in ''.join(capfd.readouterr())
    train_tool.main([str(job('steps', BY_STEPS)), *words, '--resume'])
    assert 'iter: 7' in ''.join(capfd.readouterr())
    assert Path(photos, 'w', 'iter_20.pth').is_file()


def test_stopped_before_anything_was_saved(photos, train_tool):
    args = train_tool.parse_args(['x.py'])
    assert 'before anything was saved' in train_command.how_to_go_on(str(photos), args)


@pytest.mark.parametrize('given', [['--resume', 'a/epoch_1.pth'], ['--resume=b.pth'], []])
def test_the_line_to_go_on_names_no_older_checkpoint(tmp_path, train_tool, monkeypatch, given):
    torch.save({'state_dict': {}}, tmp_path / 'iter_7.pth')
    words = ['x.py', *given, '--seed', '3', '--work-dir', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', *words])
    said = train_command.how_to_go_on(str(tmp_path), train_tool.parse_args(words))
    assert said.endswith(f'vit-plugins train x.py --seed 3 --work-dir {tmp_path} --resume')
