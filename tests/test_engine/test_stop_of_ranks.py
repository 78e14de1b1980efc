"""A signal to one of two ranks stops both after the same step; both can be resumed there."""

import copy
import os
import signal
import uuid
from functools import partial
from pathlib import Path

import pytest
import torch
from forked_runs import ended, fork
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader, Runner
from ranks import Meeting

from vit_plugins.engine.interruption import StopHook, stopping_between_steps
from vit_plugins.engine.ranks import end_ranks, start_ranks
from vit_plugins.weights.newest_checkpoint import newest_whole_checkpoint


class SignalHook(Hook):
    """Send a signal to this rank in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def train(config, step):
    config = Config(config)
    start_ranks(config, 'pytorch')
    runner, stop = Runner.from_cfg(config), StopHook()
    runner.register_hook(stop)
    if step is not None and runner.rank == 1:
        runner.register_hook(SignalHook(step))
    with stopping_between_steps(stop):
        runner.train()
    end_ranks()


def run(config, step=None, resume=None):
    """Train on two ranks and return the end of both."""
    config = copy.deepcopy(config) | dict(resume=resume is not None, load_from=resume)
    config['experiment_name'] = uuid.uuid4().hex
    meeting = Meeting()

    def train_rank(rank):
        os.environ |= meeting.environment(rank)
        train(config, step)

    ranks = [fork(partial(train_rank, rank)) for rank in range(2)]
    return [ended(rank) for rank in ranks]


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, 'fork') or torch.cuda.is_available(), reason='forks of a process on a CPU'
)
def test_two_ranks(toy, tmp_path):
    assert run(toy.settings(tmp_path / 'whole')) == [0, 0]
    config = toy.settings(tmp_path / 'stopped')
    assert run(config, step=2) == [75, 75]
    saved = newest_whole_checkpoint(tmp_path / 'stopped')
    assert saved.name == 'iter_4.pth'  # heard a step later; an epoch has two batches
    assert run(config, resume=str(saved)) == [0, 0]
    whole, resumed = (
        CheckpointLoader.load_checkpoint(str(Path(tmp_path, name, 'epoch_3.pth')), 'cpu')
        for name in ('whole', 'stopped')
    )
    assert whole['meta']['iter'] == resumed['meta']['iter']
    for name, weight in whole['state_dict'].items():
        assert torch.equal(weight, resumed['state_dict'][name]), name
