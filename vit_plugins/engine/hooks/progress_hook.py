"""Show the progress of the training in one line on the terminal."""

import atexit
import logging
import sys

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show epoch, progress, loss and the time that remains, below the log.

    It works only on a terminal and on the first rank; elsewhere (files, pipes, batch systems)
    the log of the host stays as it is.

    Args:
        enable: Whether to show the line; None shows it if standard output is a terminal.
    """

    priority = 'LOW'

    def __init__(self, enable: bool | None = None) -> None:
        self.enable = enable
        self._progress = None
        self._handlers: list[tuple[logging.StreamHandler, object]] = []

    def __repr__(self) -> str:
        return f'ProgressHook(enable={self.enable})'

    def before_train(self, runner: Runner) -> None:
        """Open the line.

        Args:
            runner: The runner.
        """
        wanted = sys.stdout.isatty() if self.enable is None else self.enable
        if not wanted or not is_main_process():
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            Elapsed(),
            TextColumn('ETA'),
            Remaining(),
            refresh_per_second=4,
            speed_estimate_period=120,
        )
        stream = sys.stdout
        self._progress.start()
        atexit.register(self._stop)  # an error or Ctrl-C must not leave the cursor hidden
        # The log must go through rich, so that it appears above the line.
        self._handlers = [
            (handler, handler.setStream(sys.stdout))
            for handler in runner.logger.handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream
        ]
        self._task = self._progress.add_task(
            'training', total=runner.max_iters, completed=runner.iter
        )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Advance by one iteration.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The losses of the step.
        """
        if self._progress is None:
            return
        # Read only now and then: each read waits for the device.
        if runner.iter % 10 == 0 and outputs is not None and 'loss' in outputs:
            self._loss = f'  loss {float(outputs["loss"]):.4f}'
        self._show(runner, 'epoch', runner.epoch + 1)
        self._progress.update(self._task, completed=runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Show that a validation is running.

        Args:
            runner: The runner.
        """
        if self._progress is not None:
            self._show(runner, 'validating epoch', runner.epoch)

    def after_train(self, runner: Runner) -> None:
        """Close the line.

        Args:
            runner: The runner.
        """
        self._stop()

    _loss = ''

    def _show(self, runner: Runner, what: str, epoch: int) -> None:
        self._progress.update(
            self._task, description=f'{what} {epoch}/{runner.max_epochs}{self._loss}'
        )

    def _stop(self) -> None:
        if self._progress is None:
            return
        for handler, stream in self._handlers:
            handler.setStream(stream)
        self._progress.stop()
        self._progress = None
        atexit.unregister(self._stop)
