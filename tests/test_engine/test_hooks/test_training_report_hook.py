"""The report at the end of a training keeps to its time limit."""

from types import SimpleNamespace

import pytest

from vit_plugins.engine.hooks import TimeBudgetHook, training_report_hook


@pytest.mark.parametrize(('limit', 'seconds'), [(None, 60), (3600, 60), (10, 10)])
def test_baselines_take_no_longer_than_the_time_limit_leaves(limit, seconds, monkeypatch):
    hooks = [TimeBudgetHook(limit)] if limit else []
    monkeypatch.setattr(training_report_hook, 'photo_baselines', lambda *args: args)
    found = training_report_hook._baselines(SimpleNamespace(hooks=hooks), 'train', 'test')
    assert found[:2] == ('train', 'test')
    assert found[2] == pytest.approx(seconds, abs=1)
    assert found[2] <= seconds
