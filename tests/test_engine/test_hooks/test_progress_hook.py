"""The progress line: only on a terminal, below the log, and removed at the end."""

import io
import logging
import re
import sys
from types import SimpleNamespace

import pytest

from vit_plugins.engine.hooks import ProgressHook


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def runner(monkeypatch) -> SimpleNamespace:
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '100')
    logger = logging.Logger('job')
    return SimpleNamespace(logger=logger, iter=0, epoch=0, max_iters=20, max_epochs=2)


def steps(hook: ProgressHook, runner: SimpleNamespace) -> None:
    hook.before_train(runner)
    for runner.iter in range(20):
        runner.epoch = runner.iter // 10
        hook.after_train_iter(runner, 0, outputs={'loss': 0.25})
    runner.logger.warning('a line of the log')
    hook.before_val_epoch(runner)
    hook.after_train(runner)


def test_one_line_on_a_terminal_and_the_log_above_it(runner, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stdout', terminal)
    handler = logging.StreamHandler(terminal)
    runner.logger.addHandler(handler)
    steps(ProgressHook(), runner)
    out = re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]', '', terminal.getvalue())
    assert '/2  loss 0.2500' in out
    assert '100%' in out
    assert 'ETA' in out
    assert re.search(r'^\s*a line of the log', out, re.MULTILINE)
    assert sys.stdout is terminal
    assert handler.stream is terminal
    assert '\x1b[?25h' in terminal.getvalue()  # the cursor is back


@pytest.mark.parametrize('rank', [0, 1])
def test_nothing_elsewhere(runner, rank, monkeypatch):
    stream = Terminal() if rank else io.StringIO()
    monkeypatch.setattr(sys, 'stdout', stream)
    monkeypatch.setattr(
        'vit_plugins.engine.hooks.progress_hook.is_main_process', lambda: rank == 0
    )
    steps(ProgressHook(), runner)
    assert stream.getvalue() == ''


def test_repr():
    assert repr(ProgressHook(enable=False)) == 'ProgressHook(enable=False)'
