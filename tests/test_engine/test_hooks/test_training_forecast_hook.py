"""The forecast of the time, with a clock that advances by two seconds in each step."""

import logging
from types import SimpleNamespace

import pytest

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
