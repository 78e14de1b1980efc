import logging
from types import SimpleNamespace

import pytest

from vit_plugins.engine.hooks import ReportPageHook


@pytest.fixture
def runner(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    return SimpleNamespace(work_dir=str(tmp_path), logger=logging.getLogger('of a test'))


def test_a_page_that_cannot_be_written_is_a_warning(runner, caplog):
    hook = ReportPageHook()
    hook.after_train(runner)
    hook.after_run(runner)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert 'holds 0 configs' in record.message
    assert 'the training itself is whole' in record.message
    assert f'vit-plugins report {runner.work_dir}' in record.message


@pytest.mark.parametrize(('enable', 'has_trained'), [(False, True), (True, False)])
def test_no_page_is_written_where_none_is_wanted_or_nothing_was_trained(
    runner, caplog, enable, has_trained
):
    hook = ReportPageHook(enable=enable)
    if has_trained:
        hook.after_train(runner)
    hook.after_run(runner)
    assert not caplog.records
