"""End a training between two steps when a signal asks it to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from ..weights.newest_checkpoint import STEP_CHECKPOINT
from .hooks.seeded_draws_hook import note_batches_done

# Ctrl-C, the end of a container or job, and the warning that Slurm sends by --signal=USR1@60.
SIGNALS = ('SIGINT', 'SIGTERM', 'SIGUSR1')
BY_HAND = 130  # the exit code of shells for Ctrl-C
ECHO = 5.0  # seconds
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: "try again later"


class TrainingStopped(BaseException):
    """A signal stopped a training after a whole step.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(number: int) -> int:
    """Return the exit code of a program that a signal has stopped in good order.

    Args:
        number: The signal.
    """
    return BY_HAND if number == signal.SIGINT else TRY_AGAIN


class StopHook(Hook):
    """When a signal comes, end the training after the current step, and save it.

    On several ranks a signal to one of them stops all after the same step. A training by epochs
    is saved in the middle of an epoch, and ``SeededDrawsHook`` makes it go on from there; without
    that hook it goes on from its last whole epoch. If gradients are accumulated over several
    batches, the stop waits for the last of these batches.
    """

    priority = 'LOWEST'  # the step is complete, and checkpoints that are due are written

    def __init__(self) -> None:
        self.asked = 0  # the number of the signal
        self._batches_done: int | None = None  # of this epoch; None before the first step
        self._agreement: _Agreement | None = None

    def before_train(self, runner: Runner) -> None:
        """Prepare the agreement between the ranks.

        Args:
            runner: The runner.
        """
        self._agreement = _Agreement() if get_world_size() > 1 else None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save and leave the loop if a signal has come.

        Raises:
            TrainingStopped: If a signal has come.
        """
        self._batches_done = batch_idx + 1
        asked = self._agreement.of_all(self.asked) if self._agreement else self.asked
        if not asked or not _is_whole_step(runner):
            return
        self._save(runner, runner.iter + 1)
        raise TrainingStopped(asked)

    def save_last_step(self, runner: Runner) -> None:
        """Save what was trained when an error has ended the loop between two steps.

        Nothing is saved before the first step, on several ranks, whose steps may differ, or with
        gradients that wait for further batches.

        Args:
            runner: The runner.
        """
        if self._batches_done is None or get_world_size() > 1 or not _is_whole_step(runner):
            return
        whole = Path(runner.work_dir, f'epoch_{runner.epoch}.pth')
        if self._batches_done or not whole.is_file():
            self._save(runner, runner.iter)

    def _save(self, runner: Runner, step: int) -> None:
        loop = runner.train_loop
        by_steps = isinstance(loop, IterBasedTrainLoop)
        if not (by_steps or note_batches_done(runner, self._batches_done)):
            return
        # Files count the step in which they are written, and a runner with a `strategy` heeds
        # no other number in `meta`. After an error the loop already counts the next step.
        counted, loop._iter = loop._iter, step - 1
        try:
            runner.save_checkpoint(
                runner.work_dir,
                f'iter_{step}.pth',  # the host numbers its own files in the same way
                by_epoch=False,
                backend_args=dict(backend='atomic'),
            )
        finally:
            loop._iter = counted

    def after_train_epoch(self, runner: Runner) -> None:
        """Remove the file that was saved in the middle of an epoch that is now complete.

        Args:
            runner: The runner.
        """
        self._batches_done = 0
        whole = Path(runner.work_dir, f'epoch_{runner.epoch + 1}.pth')
        if isinstance(runner.train_loop, IterBasedTrainLoop) or not whole.is_file():
            return
        if runner.rank == 0:
            for path in Path(runner.work_dir).glob('iter_*.pth'):
                match = STEP_CHECKPOINT.fullmatch(path.name)
                if match and int(match[1]) <= runner.iter:
                    path.unlink(missing_ok=True)


def _is_whole_step(runner: Runner) -> bool:
    """Return whether no accumulated gradients wait for further batches."""
    return getattr(runner.optim_wrapper, 'should_update', lambda: True)()


class _Agreement:
    """Make ranks stop after the same step: each learns a step later of a signal to any of them.

    The ranks communicate on the CPU beside the training, so that no rank waits for its GPU, or
    for the others during the step.
    """

    def __init__(self) -> None:
        self.group = torch_dist.new_group(backend='gloo')
        self.told: tuple[torch.Tensor, Any] | None = None

    def of_all(self, asked: int) -> int:
        """Return the signal that any rank had received up to the step before."""
        heard = 0
        if self.told is not None:
            numbers, work = self.told
            work.wait()
            heard = int(numbers)
        numbers = torch.tensor(asked)
        work = torch_dist.all_reduce(
            numbers, torch_dist.ReduceOp.MAX, group=self.group, async_op=True
        )
        self.told = numbers, work
        return heard


@contextlib.contextmanager
def stopping_between_steps(hook: StopHook) -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGUSR1 into a stop after the step.

    A second signal has its usual effect: as a rule, it ends the program at once. With several
    ranks a signal within some seconds counts as the first one, because launchers pass on to the
    ranks a signal that these have already received.

    Args:
        hook: A hook of the runner that is training.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled by the main thread only
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    echo = ECHO if get_world_size() > 1 else 0.0
    since: list[float] = []

    def ask(number: int, frame: Any) -> None:
        since.append(time.monotonic())
        hook.asked = hook.asked or number
        if not echo:
            signal.signal(number, before[number])
        elif since[-1] - since[0] > echo:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
