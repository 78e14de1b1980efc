"""A signal ends a training after a complete step; resumed, it has the same end."""

import contextlib
import copy
import signal
import uuid
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from torch.utils.data import SequentialSampler

from vit_plugins.engine import interruption
from vit_plugins.engine.interruption import (
    StopHook,
    TrainingStopped,
    exit_code,
    stopping_between_steps,
)
from vit_plugins.weights.newest_checkpoint import newest_whole_checkpoint


@pytest.mark.parametrize('name', ['SIGINT', 'SIGTERM', 'SIGUSR1'])
def test_the_second_signal_ends_at_once(name):
    number = getattr(signal, name)
    hook, before = StopHook(), signal.getsignal(number)
    with stopping_between_steps(hook):
        assert signal.getsignal(number) != before
        signal.raise_signal(number)
        assert hook.asked == number
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_launchers_repeat_the_signals_of_their_ranks(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(interruption, 'get_world_size', lambda: 2)
    monkeypatch.setattr(interruption.time, 'monotonic', lambda: now[0])
    before, ended = signal.signal(signal.SIGTERM, lambda *_: ended.append(now[0])), []
    try:
        with stopping_between_steps(StopHook()):
            for now[0] in (1.0, 2.0, 5.5, 6.5, 7.0):
                signal.raise_signal(signal.SIGTERM)
        assert ended == [6.5, 7.0]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_exit_codes():
    assert exit_code(signal.SIGINT) == 130
    assert exit_code(signal.SIGTERM) == exit_code(signal.SIGUSR1) == 75


class AskHook(Hook):
    """Send a signal in the middle of a step, and record the numbers of the batches."""

    def __init__(self, stop, step):
        self.stop, self.step, self.batches = stop, step, []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append(batch_idx)
        if runner.iter == self.step:
            self.stop.asked = int(signal.SIGTERM)


def train(config, step=None, resume=None):
    """Train to the end, or until a signal in the middle of a step."""
    config = copy.deepcopy(config) | dict(resume=resume is not None, load_from=resume)
    config['experiment_name'] = uuid.uuid4().hex
    runner, stop = Runner.from_cfg(config), StopHook()
    ask = AskHook(stop, step)
    runner.register_hook(stop)
    runner.register_hook(ask)
    with contextlib.suppress(TrainingStopped):
        runner.train()
    runner.train_loop.dataloader._iterator = None
    return ask.batches


def content(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


def tensors(part, name=''):
    if isinstance(part, dict | list | tuple):
        items = part.items() if isinstance(part, dict) else enumerate(part)
        return {k: v for key, x in items for k, v in tensors(x, f'{name}.{key}').items()}
    return {name: part} if isinstance(part, torch.Tensor) else {}


EMA = dict(custom_hooks=[dict(type='EMAHook', momentum=0.1)])


@pytest.fixture(scope='module')
def whole(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    train(toy.settings(folder, **EMA))
    return content(folder / 'epoch_3.pth')


@pytest.mark.parametrize(
    ('step', 'workers'),
    [(5, 0), (7, 0), *(pytest.param(s, w, marks=pytest.mark.slow) for s, w in [(0, 2), (9, 2)])],
)
def test_an_epoch_goes_on_where_it_was_stopped(toy, whole, tmp_path, step, workers):
    """Bit for bit: weights, averaged weights, optimizer. Step 7 is the last of an epoch."""
    config = toy.settings(tmp_path, workers=workers, **EMA)
    before = train(config, step)
    saved = newest_whole_checkpoint(tmp_path)
    assert saved.name == f'iter_{step + 1}.pth'
    after = train(config, resume=str(saved))
    assert before + after == [0, 1, 2, 3] * 3
    resumed = content(tmp_path / 'epoch_3.pth')
    for part in ('state_dict', 'ema_state_dict', 'optimizer'):
        expected, found = tensors(whole[part]), tensors(resumed[part])
        assert expected.keys() == found.keys()
        assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert resumed['meta']['iter'] == whole['meta']['iter'] == 12
    assert not list(tmp_path.glob('iter_*.pth'))  # the epoch is saved as a whole


class FailHook(Hook):
    """Raise an error between two steps, as a damaged photo does."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.fails = runner.iter == 4

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if getattr(self, 'fails', False):
            raise OSError


@pytest.mark.parametrize('kind', ['Runner', 'FlexibleRunner'])
def test_after_an_error_the_last_step_is_saved_under_its_number(toy, tmp_path, kind):
    config = toy.settings(tmp_path)
    config |= dict(env_cfg={}) if kind == 'FlexibleRunner' else {}
    runner, stop = RUNNERS.get(kind).from_cfg(config), StopHook()
    runner.register_hook(stop)
    runner.register_hook(FailHook())
    with pytest.raises(OSError):  # noqa: PT011
        runner.train()
    runner.train_loop.dataloader._iterator = None
    stop.save_last_step(runner)
    assert content(tmp_path / 'iter_5.pth')['meta']['iter'] == runner.iter == 5


@pytest.mark.slow
def test_added_up_gradients_are_not_lost(toy, tmp_path):
    config = toy.settings(tmp_path)
    config['optim_wrapper']['accumulative_counts'] = 3
    train(config, 3)  # the second of three batches that make a step
    assert newest_whole_checkpoint(tmp_path).name == 'iter_6.pth'


@pytest.mark.slow
def test_without_seeded_draws_it_goes_on_from_the_last_epoch(toy, tmp_path):
    config = toy.settings(tmp_path)
    del config['default_hooks']['seeded_draws']
    train(config, 5)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


@pytest.mark.slow
def test_another_batch_size_is_told(toy, tmp_path):
    config = toy.settings(tmp_path)
    train(config, 5)
    config['train_dataloader']['batch_size'] = 3
    saved = newest_whole_checkpoint(tmp_path)
    assert train(config, resume=str(saved)) == [*range(4, 7), *range(7)]  # of 7 batches, not 4


class Group:
    """Replaces a process group: the reductions of several ranks run in turn."""

    def __init__(self):
        self.open = []

    def all_reduce(self, numbers, *args, **kwargs):
        self.open.append(numbers)
        if len(self.open) == 2:
            most = max(map(int, self.open))
            for each in self.open:
                each.fill_(most)
            self.open.clear()
        return SimpleNamespace(wait=lambda: None)


def test_ranks_hear_of_a_signal_after_the_same_step(monkeypatch):
    group = Group()
    monkeypatch.setattr(interruption.torch_dist, 'new_group', lambda **_: group)
    monkeypatch.setattr(interruption.torch_dist, 'all_reduce', group.all_reduce)
    ranks = [interruption._Agreement() for _ in range(2)]
    asked = [[0, 0], [0, 15], [0, 15], [0, 15]]
    heard = [
        [rank.of_all(number) for rank, number in zip(ranks, step, strict=True)] for step in asked
    ]
    assert heard == [[0, 0], [0, 0], [15, 15], [15, 15]]


def test_a_training_of_a_sampler_of_another_kind_is_not_noted():
    loader = SimpleNamespace(batch_sampler=SequentialSampler(range(3)))
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=loader))
    assert not interruption.note_batches_done(runner, 1)
