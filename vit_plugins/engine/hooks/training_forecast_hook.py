"""Log what will be trained, how long it will take and how far it is."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...fileio.duration import duration
from ...host.process_memory import peak_memory
from ..training_briefing import training_briefing
from .time_budget_hook import TimeBudgetHook

WARM = 5  # steps that are not measured, as the first are slow


@HOOKS.register_module()
class TrainingForecastHook(Hook):
    """Log device, model, images and steps before a training, and a forecast after a few steps.

    ``tools/train.py`` adds the hook.

    Args:
        every: Seconds between two lines if no terminal shows a progress bar.
    """

    priority = 85  # a step ends after the schedules, and before checkpoints are written

    def __init__(self, every: float = 60.0) -> None:
        self.every = every

    def __repr__(self) -> str:
        return f'TrainingForecastHook(every={self.every})'

    def before_train(self, runner: Runner) -> None:
        """Log what will be trained.

        Args:
            runner: The runner.
        """
        self._first = runner.iter + WARM
        self._seconds = 0.0
        self._mark = self._told = time.monotonic()
        for line in training_briefing(runner):
            runner.logger.info(line)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start measuring here: validations and checkpoints are not steps.

        Args:
            runner: The runner.
        """
        self._mark = time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log a forecast after a few steps, and the progress from time to time.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The losses of the step.
        """
        now = time.monotonic()
        done = runner.iter + 1
        if done > self._first:
            self._seconds += now - self._mark
        self._mark = now
        measured = done - self._first
        if measured < WARM:
            return
        step = self._seconds / measured
        limits = [h.seconds_left for h in runner.hooks if isinstance(h, TimeBudgetHook)]
        left = duration(min([step * (runner.max_iters - done), *limits]))
        if measured == WARM:
            runner.logger.info(
                f'A step takes {step:.2g} s: about {left} for the training, and the time of its '
                f'validations{_memory()}'
            )
            self._told = now
        elif now - self._told > self.every and not sys.stdout.isatty():
            found = (outputs or {}).get('loss')
            # detached, since torch warns of a number from a tensor with a gradient
            loss = '' if found is None else f', loss {float(torch.as_tensor(found).detach()):.3f}'
            runner.logger.info(f'step {done} of {runner.max_iters}{loss}, about {left} left')
            self._told = now


def _memory() -> str:
    if get_device() == 'cuda':
        return f'; {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory'
    peak = peak_memory()
    return '' if peak is None else f'; {peak / 2**30:.1f} GiB of memory at most so far'
