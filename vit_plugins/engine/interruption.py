"""End a training between two steps when it is asked to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner


class TrainingStopped(BaseException):
    """A training was asked to stop and did so after a whole step."""


class StopHook(Hook):
    """End the training after the step that is being taken when a signal comes.

    A training by steps saves that step first. One by epochs goes on from its last whole epoch,
    as a part of an epoch cannot be resumed.
    """

    priority = 'LOWEST'  # the step is complete, and checkpoints that are due are written

    def __init__(self) -> None:
        self.asked = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leave the loop if somebody asked to.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: Unused.
        """
        if not self.asked:
            return
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            step = runner.iter + 1  # the host counts so, too, where it saves
            runner.save_checkpoint(
                runner.work_dir,
                f'iter_{step}.pth',
                by_epoch=False,
                backend_args=dict(backend='atomic'),
            )
        raise TrainingStopped


@contextlib.contextmanager
def stopping_between_steps(hook: StopHook) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a stop after the step; a second one ends at once.

    Args:
        hook: A hook of the runner that is training.
    """
    # Signals are handled by the main thread only, and ranks would stop at different steps.
    if threading.current_thread() is not threading.main_thread() or get_world_size() > 1:
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        hook.asked = True
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_saved(work_dir: str | Path) -> str | None:
    """Return the name of the newest checkpoint of a work dir, None if there is none.

    Args:
        work_dir: The folder.
    """
    files = [*Path(work_dir).glob('epoch_*.pth'), *Path(work_dir).glob('iter_*.pth')]
    return max(files, key=lambda file: file.stat().st_mtime_ns).name if files else None
