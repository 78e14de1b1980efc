"""The forecast of the time, with a clock that advances by two seconds in each step."""

import logging
from types import SimpleNamespace

import pytest
import torch

from vit_plugins.engine.hooks import TimeBudgetHook, TrainingForecastHook, training_forecast_hook


@pytest.mark.parametrize(
    ('budget', 'told'), [(None, 'about 30 min'), (7200.0, 'about 30 min'), (600.0, 'about 10 min')]
)
def test_the_forecast_ends_with_the_time_there_is(monkeypatch, caplog, budget, told):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        training_forecast_hook, 'time', SimpleNamespace(monotonic=lambda: clock.now)
    )
    monkeypatch.setattr(training_forecast_hook, 'training_briefing', lambda runner: ['begin'])
    hooks = [] if budget is None else [TimeBudgetHook(budget)]
    runner = SimpleNamespace(
        iter=0, max_iters=910, logger=logging.getLogger('forecast'), hooks=hooks
    )
    hook = TrainingForecastHook()
    with caplog.at_level(logging.INFO):
        hook.before_train(runner)
        hook.before_train_epoch(runner)
        for step in range(10):
            clock.now += 50.0 if step < 5 else 2.0  # the first are slow, and not measured
            runner.iter = step
            hook.after_train_iter(runner, step)
    assert f'A step takes 2 s: {told} for the training' in caplog.text


def test_progress_shows_the_loss_and_torch_does_not_warn(monkeypatch, caplog, recwarn):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        training_forecast_hook, 'time', SimpleNamespace(monotonic=lambda: clock.now)
    )
    monkeypatch.setattr(training_forecast_hook, 'training_briefing', lambda runner: [])
    monkeypatch.setattr(training_forecast_hook.sys.stdout, 'isatty', lambda: False, raising=False)
    runner = SimpleNamespace(iter=0, max_iters=100, logger=logging.getLogger('talk'), hooks=[])
    hook = TrainingForecastHook(every=60)
    loss = torch.tensor(1.5, requires_grad=True) * 2
    with caplog.at_level(logging.INFO):
        hook.before_train(runner)
        hook.before_train_epoch(runner)
        for step in range(50):
            clock.now += 2.0
            runner.iter = step
            hook.after_train_iter(runner, step, outputs={'loss': loss})
    assert 'of 100, loss 3.000, about' in caplog.text
    assert not recwarn.list
