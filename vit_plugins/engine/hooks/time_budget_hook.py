"""End a training in time, with its schedule completed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.optim import _ParamScheduler
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...fileio.duration import duration

POSITION = 'time_budget_position'  # in the message hub, and so in checkpoints


@HOOKS.register_module()
class TimeBudgetHook(Hook):
    """Shorten a training that would take too long, so that it ends within a time budget.

    Every few steps the hook measures how long a step takes, including validation and checkpoints,
    and plans how many more steps there is time for. If these are fewer than the config sets,
    every schedule (learning rate, momentum, weight decay) advances faster in proportion, so that
    a cosine still reaches its end. A training that has enough time is not changed::

        custom_hooks = [dict(type='TimeBudgetHook', seconds=3600)]

    A training by epochs ends with an epoch. Hooks that follow ``max_epochs`` or ``max_iters``
    during the training, such as ``FractionalSwitchRecipeHook``, follow the plan. The number of
    steps then depends on the machine; the log says how many there were.

    On several ranks the first decides for all. A resumed training has its own budget and
    continues the schedules where they were.

    Args:
        seconds: The budget, counted from ``started``.
        reserve: The fraction of the budget that is kept for the last validation and checkpoint.
        interval: Steps between two plans; the first steps are not measured, as they are slow.
        started: When the time begins to count, as ``time.time()`` returns it; None is when the
            hook is built.

    Raises:
        ValueError: If an argument is out of range.
    """

    # after the schedules have made their step (70), before checkpoints save them (90)
    priority = 80

    def __init__(
        self,
        seconds: float,
        reserve: float = 0.05,
        interval: int = 20,
        started: float | None = None,
    ) -> None:
        if not seconds > 0:
            raise ValueError(f'seconds must be positive, got {seconds}')
        if not 0 <= reserve < 1:
            raise ValueError(
                f'reserve is a part of the time and must be at least 0 and below 1, got {reserve}'
            )
        if not interval >= 1:
            raise ValueError(f'interval must be at least 1 step, got {interval}')
        if started is not None and started > time.time():
            raise ValueError(
                f'started ({started}) lies in the future: it is a time of time.time() at which '
                'the budget began to run, or None'
            )
        self.seconds = seconds
        self.reserve = reserve
        self.interval = interval
        self.started = time.time() if started is None else started
        self._position = 0.0  # of the schedules, in steps of the full training
        self._measured_from: tuple[int, float] | None = None

    @property
    def seconds_left(self) -> float:
        """Return how many seconds of the budget are left."""
        return max(self.seconds - (time.time() - self.started), 0.0)

    def before_train(self, runner: Runner) -> None:
        """Note the full length of the training and the position of the schedules.

        Args:
            runner: The runner.
        """
        self._full = runner.max_iters
        runner.logger.info(
            f'The training ends within {duration(self.seconds)}, with fewer than its '
            f'{self._full:,} steps if the time does not suffice for them'
        )
        self._measured_from = None
        saved = runner.message_hub.get_info(POSITION)
        self._position = float(saved if runner.iter and saved is not None else runner.iter)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Plan the rest of the training every few steps."""
        if self._measured_from is None:
            self._measured_from = (runner.iter + self.interval, math.nan)
        first, since = self._measured_from
        if runner.iter < first or (runner.iter - first) % self.interval:
            return
        if runner.iter == first:
            self._measured_from = (first, time.time())
            return
        step = (time.time() - since) / (runner.iter - first)
        left = self.seconds * (1 - self.reserve) - (time.time() - self.started)
        self._plan(runner, _of_first_rank(int(left / step)))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Advance the schedules that count steps."""
        before = self._position
        steps_left = max(runner.max_iters - runner.iter, 1)
        self._position += max((self._full - before) / steps_left, 1.0)
        runner.message_hub.update_info(POSITION, self._position)
        _advance(runner, _whole(self._position) - _whole(before) - 1, by_epoch=False)

    def after_train_epoch(self, runner: Runner) -> None:
        """Advance the schedules that count epochs.

        Args:
            runner: The runner.
        """
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            return
        due = _whole(self._position / len(loop.dataloader))
        done = [s._global_step for s in _schedules(runner) if s.by_epoch]
        _advance(runner, due - max(done, default=due), by_epoch=True)

    def after_train(self, runner: Runner) -> None:
        """Log how many steps there were.

        Args:
            runner: The runner.
        """
        if runner.iter < self._full:
            runner.logger.warning(
                f'The budget of {self.seconds:.0f} s ended the training after {runner.iter} of '
                f'{self._full} steps; its schedules are at their end.'
            )

    def _plan(self, runner: Runner, fit: int) -> None:
        """Set the length of the training to what fits, between one step and the full length."""
        loop = runner.train_loop
        left = math.ceil(self._full - self._position)
        end = runner.iter + max(1, min(fit, left))
        if not isinstance(loop, IterBasedTrainLoop):
            length = len(loop.dataloader)
            loop._max_epochs = max(runner.epoch + 1, end // length)
            end = loop._max_epochs * length
        loop._max_iters = end

    def __repr__(self) -> str:
        return (
            f'TimeBudgetHook(seconds={self.seconds}, reserve={self.reserve}, '
            f'interval={self.interval})'
        )


def _whole(position: float) -> int:
    return math.floor(position + 0.5)  # round() would round halves to even numbers


def _of_first_rank(number: int) -> int:
    shared = torch.tensor([number])
    broadcast(shared)
    return int(shared)


def _schedules(runner: Runner) -> Iterator[_ParamScheduler]:
    found = runner.param_schedulers or []
    for group in found.values() if isinstance(found, dict) else [found]:
        yield from group


def _advance(runner: Runner, steps: int, by_epoch: bool) -> None:
    for schedule in _schedules(runner):
        if schedule.by_epoch == by_epoch:
            for _ in range(steps):
                schedule.step()
