"""A training that is killed and resumed by the tools ends with the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

ROOT = Path(__file__).parents[2]
DIGITS = f"""
_base_ = ['{ROOT}/configs/convit_drloc_digits.py']
train_dataloader = dict(num_workers=0)
"""
MIXED = f"""
_base_ = ['{ROOT}/configs/convit_drloc_digits.py']
model = dict(
    backbone=dict(drop_path_rate=0.1, drop_rate=0.1),
    head=dict(head=dict(loss=dict(num_classes=10))),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
train_dataloader = dict(
    num_workers=0,
    dataset=dict(pipeline=[
        dict(type='Resize', scale=(16, 16)), dict(type='ThreeAugment'), dict(type='PackInputs')]))
custom_hooks = [dict(type='EMAHook', momentum=0.01)]
"""
RETRIEVAL = f"""
_base_ = ['{ROOT}/configs/retrieval_digits.py']
model = dict(momentum_encoder=0.9)
train_dataloader = dict(num_workers=0)
"""


def start(config: Path, work_dir: Path, ranks: int, *options: str) -> subprocess.Popen:
    """Start a training of two epochs in a session of its own, which can be killed."""
    command = [sys.executable, 'tools/train.py', str(config)]
    if ranks > 1:
        command = ['bash', 'tools/dist_train.sh', str(config), str(ranks)]
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}
    command += ['--work-dir', str(work_dir), '--no-validate', *options]
    command += ['--cfg-options', 'train_cfg.max_epochs=2', 'param_scheduler.0.warmup=1']
    command += ['default_hooks.checkpoint.interval=1']
    return subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)


def last(work_dir: Path) -> dict:
    return CheckpointLoader.load_checkpoint(str(work_dir / 'epoch_2.pth'), map_location='cpu')


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='bit-equal on a CPU')
@pytest.mark.parametrize(
    ('text', 'ranks'),
    [(DIGITS, 1), (MIXED, 1), (MIXED, 2), (RETRIEVAL, 1), (RETRIEVAL, 2)],
    ids=['digits', 'mixed', 'mixed, two ranks', 'retrieval', 'retrieval, two ranks'],
)
def test_killed_and_resumed(text, ranks, tmp_path):
    """One run without workers, and one with two, which is killed in the second epoch."""
    config = tmp_path / 'job.py'
    config.write_text(text)
    assert start(config, tmp_path / 'whole', ranks).wait() == 0
    config.write_text(text.replace('num_workers=0', 'num_workers=2'))
    killed = start(config, tmp_path / 'killed', ranks)
    while killed.poll() is None and not (tmp_path / 'killed' / 'epoch_1.pth').exists():
        time.sleep(0.02)
    time.sleep(0.3)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() != 0, 'the run ended before it was killed'
    assert not (tmp_path / 'killed' / 'epoch_2.pth').exists()
    assert start(config, tmp_path / 'killed', ranks, '--resume').wait() == 0

    compare(tmp_path / 'whole', tmp_path / 'killed')


def compare(one: Path, other: Path) -> None:
    """Check that the last checkpoints of two runs have the same weights."""
    whole, resumed = last(one), last(other)
    for part in ('state_dict', 'ema_state_dict'):
        assert whole.get(part, {}).keys() == resumed.get(part, {}).keys()
        for name, weight in whole.get(part, {}).items():
            same = torch.equal(weight, resumed[part][name]) if torch.is_tensor(weight) else True
            assert same, f'{part}: {name}'
