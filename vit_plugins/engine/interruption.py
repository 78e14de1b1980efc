"""End a training between two steps when it is asked to stop."""

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
BY_HAND = 130  # what shells know as ended by Ctrl-C
ECHO = 5.0  # seconds
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: "try again later"


class TrainingStopped(BaseException):
    """A training was asked to stop and did so after a whole step.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(number: int) -> int:
    """Return how a program ends that a signal has stopped in good order.

    Args:
        number: The signal.
    """
    return BY_HAND if number == signal.SIGINT else TRY_AGAIN


class StopHook(Hook):
    """End the training after the step that is being taken when a signal comes, and save it.

    On several ranks a signal to one of them stops all after the same step. A training by epochs
    is saved in the midst of one, and ``SeededDrawsHook`` makes it go on from there; without that
    hook it goes on from its last whole epoch. Where gradients are added up over several batches,
    the stop waits for the last of them.
    """

    priority = 'LOWEST'  # the step is complete, and checkpoints that are due are written

    def __init__(self) -> None:
        self.asked = 0  # the number of the signal
        self._agreement: _Agreement | None = None

    def before_train(self, runner: Runner) -> None:
        """Prepare the ranks to agree.

        Args:
            runner: The runner.
        """
        self._agreement = _Agreement() if get_world_size() > 1 else None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save and leave the loop if somebody asked to.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Unused.

        Raises:
            TrainingStopped: If somebody did.
        """
        asked = self._agreement.of_all(self.asked) if self._agreement else self.asked
        if not asked or not _is_whole_step(runner):
            return
        by_steps = isinstance(runner.train_loop, IterBasedTrainLoop)
        if not by_steps and not note_batches_done(runner, batch_idx + 1):
            raise TrainingStopped(asked)
        runner.save_checkpoint(
            runner.work_dir,
            f'iter_{runner.iter + 1}.pth',  # the host counts so, too, where it saves
            by_epoch=False,
            backend_args=dict(backend='atomic'),
        )
        raise TrainingStopped(asked)

    def after_train_epoch(self, runner: Runner) -> None:
        """Remove what was saved in the midst of an epoch that is now saved as a whole.

        Args:
            runner: The runner.
        """
        whole = Path(runner.work_dir, f'epoch_{runner.epoch + 1}.pth')
        if isinstance(runner.train_loop, IterBasedTrainLoop) or not whole.is_file():
            return
        if runner.rank == 0:
            for path in Path(runner.work_dir).glob('iter_*.pth'):
                match = STEP_CHECKPOINT.fullmatch(path.name)
                if match and int(match[1]) <= runner.iter:
                    path.unlink(missing_ok=True)


def _is_whole_step(runner: Runner) -> bool:
    """Return whether no gradients wait for those of further batches."""
    return getattr(runner.optim_wrapper, 'should_update', lambda: True)()


class _Agreement:
    """Lets ranks stop after the same step: each hears a step later what any of them was asked.

    The ranks talk on the CPU beside the training, so that none waits for its GPU, or for the
    others at the step itself.
    """

    def __init__(self) -> None:
        self.group = torch_dist.new_group(backend='gloo')
        self.told: tuple[torch.Tensor, Any] | None = None

    def of_all(self, asked: int) -> int:
        """Return what was asked of any rank up to the step before."""
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

    A second one does what it did before: as a rule, it ends the program at once. With several
    ranks it counts as the first one for some seconds, as launchers pass on to the ranks what these
    have got themselves.

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
