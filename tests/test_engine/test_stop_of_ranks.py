"""A signal to one of two ranks stops both after the same step; both can be resumed there."""

import copy
import multiprocessing
import os
import signal
import sys
import uuid
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain.utils import register_all_modules
from ranks import Meeting
from toy_training import settings

from vit_plugins.engine.interruption import (
    StopHook,
    TrainingStopped,
    exit_code,
    stopping_between_steps,
)
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


def be_rank(config, environment, step):
    """Train as one rank, and end as ``tools/train.py`` does when it was told to stop."""
    torch.set_num_threads(1)
    register_all_modules(init_default_scope=True)
    os.environ |= environment
    try:
        train(config, step)
    except TrainingStopped as stopped:
        sys.exit(exit_code(stopped.number))


def run(config, step=None, resume=None):
    """Train on two ranks and return the end of both."""
    config = copy.deepcopy(config) | dict(resume=resume is not None, load_from=resume)
    config['experiment_name'] = uuid.uuid4().hex
    meeting = Meeting()
    # Forks of a process that only imports: after torch.compile, autograd refuses a fork.
    processes = multiprocessing.get_context('forkserver')
    processes.set_forkserver_preload(['vit_plugins', 'toy_training'])
    ranks = [
        processes.Process(target=be_rank, args=(config, meeting.environment(rank), step))
        for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return [rank.exitcode for rank in ranks]


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, 'fork') or torch.cuda.is_available(), reason='ranks on a CPU, by fork'
)
def test_two_ranks(tmp_path):
    assert run(settings(tmp_path / 'whole')) == [0, 0]
    config = settings(tmp_path / 'stopped')
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
