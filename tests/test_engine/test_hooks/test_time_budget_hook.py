"""Trainings under a clock that advances by a known time with each step."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from vit_plugins.engine.hooks import TimeBudgetHook, time_budget_hook
from vit_plugins.engine.schedulers.warmup_cosine_lr import warmup_cosine

RATE, LAST = 0.1, 0.001


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x, mode):
        return {'loss': self.layer(x).mean()}


class Clock(Hook):
    """Advance the clock in each step, and record the learning rates."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds
        self.rates = []

    def time(self):
        return self.now

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.now += self.seconds if isinstance(self.seconds, float) else self.seconds(runner.iter)


@pytest.fixture
def train(monkeypatch, tmp_path):
    def run(seconds, train_cfg, budget, schedule=None, resume=False, **hook):
        clock = Clock(seconds)
        monkeypatch.setattr(time_budget_hook, 'time', clock)
        schedule = schedule or dict(
            type='WarmupCosineLR', warmup=10, warmup_lr=LAST, eta_min=LAST, by_epoch=False
        )
        runner = Runner(
            model=Model(),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                batch_size=2,
                dataset=[{'x': torch.ones(1)} for _ in range(20)],  # ten steps an epoch
                sampler=dict(
                    type='InfiniteSampler' if 'max_iters' in train_cfg else 'DefaultSampler',
                    shuffle=False,
                ),
                num_workers=0,
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=train_cfg,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=RATE)),
            param_scheduler=[schedule],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=50),
                logger=None,
            ),
            custom_hooks=[clock, dict(type='TimeBudgetHook', seconds=budget, **hook)],
            experiment_name=f'budget{id(clock)}',
            default_scope='mmpretrain',
            resume=resume,
        )
        runner.train()
        return runner, clock

    return run


def expected(step, total):
    return warmup_cosine(step, RATE, total, 10, LAST, LAST)


def test_a_training_with_time_enough_is_left_as_it_is(train):
    runner, clock = train(1.0, dict(by_epoch=False, max_iters=200), budget=1000)
    assert runner.iter == 200
    assert clock.rates == pytest.approx([expected(step, 200) for step in range(200)])


def test_a_training_that_takes_too_long_ends_in_time_and_its_cosine_at_its_end(train):
    runner, clock = train(1.0, dict(by_epoch=False, max_iters=1000), budget=300)
    assert 270 <= runner.iter <= 285  # 0.95 * 300
    assert clock.now <= 285
    peak = clock.rates.index(max(clock.rates))
    assert peak == 10
    assert clock.rates[10:] == sorted(clock.rates[10:], reverse=True)
    assert clock.rates[-1] < LAST + 0.0001
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(expected(999, 1000))


def test_a_machine_that_becomes_slow_or_fast_is_followed(train):
    def slow_then_fast(step):
        return 1.0 if step < 100 else 4.0 if step < 130 else 0.5

    runner, clock = train(slow_then_fast, dict(by_epoch=False, max_iters=1000), budget=400)
    assert 330 < clock.now <= 380
    assert runner.iter > 100 + 30 + 200  # the time that was won is used
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(expected(999, 1000))


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_training_by_epochs_ends_with_an_epoch(train, by_epoch):
    schedule = dict(type='WarmupCosineLR', warmup=1, warmup_lr=LAST, eta_min=LAST)
    if not by_epoch:
        schedule['convert_to_iter_based'] = True
    runner, clock = train(1.0, dict(by_epoch=True, max_epochs=40), 150, schedule)
    assert runner.epoch in (13, 14)
    assert runner.iter == 10 * runner.epoch == len(clock.rates)
    last = warmup_cosine(39, RATE, 40, 1, LAST, LAST) if by_epoch else expected(399, 400)
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(last)


def test_other_schedules_of_the_host_end_at_their_end(train):
    schedule = dict(type='LinearLR', start_factor=1.0, end_factor=0.01, end=1000, by_epoch=False)
    runner, _ = train(1.0, dict(by_epoch=False, max_iters=1000), 300, schedule)
    assert runner.iter < 300
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(0.01 * RATE, rel=0.02)


def test_time_that_is_over_ends_the_training_after_a_step(train):
    runner, _ = train(100.0, dict(by_epoch=False, max_iters=1000), budget=10, interval=1)
    assert runner.iter == 3  # the first is not measured, the second is, and one ends it
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(expected(999, 1000))


def test_the_last_step_is_saved_and_validation_comes_after_it(train):
    runner, _ = train(1.0, dict(by_epoch=False, max_iters=1000), budget=300)
    saved = torch.load(f'{runner.work_dir}/iter_{runner.iter}.pth', weights_only=False)
    assert saved['param_schedulers'][0]['last_step'] == 999  # as at the end of a full training
    assert saved['message_hub']['runtime_info'][time_budget_hook.POSITION] == 1000


def test_a_resumed_training_goes_on_where_its_schedules_were(train):
    def die(step):
        if step == 149:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        train(die, dict(by_epoch=False, max_iters=1000), budget=300)
    runner, clock = train(1.0, dict(by_epoch=False, max_iters=1000), budget=100, resume=True)
    assert runner.iter < 100 + 95 + 1  # the checkpoint is that of step 100
    assert clock.rates == sorted(clock.rates, reverse=True)
    assert clock.rates[0] < 0.97 * RATE
    assert runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(expected(999, 1000))


def test_switches_of_recipe_follow_the_plan(train):
    from vit_plugins.engine.hooks import FractionalSwitchRecipeHook

    hook = FractionalSwitchRecipeHook([dict(action_fraction=0.9, batch_augments=None)])
    made = []
    hook._do_switch = lambda runner, recipe, text: made.append(runner.epoch)
    runner = SimpleNamespace(max_epochs=100, epoch=0, _resume=False, train_loop=None)
    hook.before_train(runner)
    runner.max_epochs = 20
    for runner.epoch in range(20):
        hook.before_train_epoch(runner)
    assert made == [18]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'seconds': 0}, 'seconds must be positive, got 0'),
        ({'seconds': 1, 'reserve': 1}, 'must be at least 0 and below 1, got 1'),
        ({'seconds': 1, 'interval': 0}, 'interval must be at least 1 step, got 0'),
        ({'seconds': 1, 'started': 1e12}, r'started \(1000000000000.0\) lies in the future'),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        TimeBudgetHook(**arguments)
