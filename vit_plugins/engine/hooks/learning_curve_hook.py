"""Plot the learning curve into the work dir."""

import io
import time
from numbers import Real
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...fileio.atomic_backend import AtomicLocalBackend
from ...visualization.curves import plot_learning_curve

NOT_METRICS = ('time', 'data_time')


@HOOKS.register_module()
class LearningCurveHook(Hook):
    """Plot training losses and validation metrics into ``learning_curve.png``.

    The points are in the runner's message hub, and so in every checkpoint: a resumed run plots
    the whole curve, without the epochs that were lost in a crash.

    Args:
        filename: The picture, in the work dir.
        min_seconds: Seconds between two plots, so that short epochs are not slowed down; the
            last state is always plotted.
    """

    priority = 'LOW'  # before the checkpoint is written, so that it holds the point

    def __init__(self, filename: str = 'learning_curve.png', min_seconds: float = 15) -> None:
        self.filename = filename
        self.min_seconds = min_seconds
        self._last_plotted = float('-inf')

    def __repr__(self) -> str:
        return f'LearningCurveHook(filename={self.filename!r}, min_seconds={self.min_seconds})'

    def after_train_epoch(self, runner: Runner) -> None:
        """Add the mean losses of the epoch.

        Args:
            runner: The runner.
        """
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return  # the only epoch is the whole training: see after_val_epoch
        self._add_losses(runner, runner.epoch + 1, len(runner.train_dataloader))
        if runner.val_loop is None:
            self._plot_now_and_then(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the metrics of the validation.

        Args:
            runner: The runner.
            metrics: The metrics of the validation.
        """
        if runner.iter == 0:
            return  # a validation on its own has no curve
        loop = runner.train_loop
        by_iter = isinstance(loop, IterBasedTrainLoop)
        step = loop.iter if by_iter else loop.epoch
        if by_iter:
            self._add_losses(runner, step, loop.val_interval)
        for name, value in (metrics or {}).items():
            if isinstance(value, Real) and name not in NOT_METRICS:
                self._add(runner, 'metrics', name, step, float(value))
        self._plot_now_and_then(runner)

    def after_train(self, runner: Runner) -> None:
        """Plot the whole curve.

        Args:
            runner: The runner.
        """
        self._plot(runner)

    def _add_losses(self, runner: Runner, step: int, window: int) -> None:
        for key, history in runner.message_hub.log_scalars.items():
            name = key.removeprefix('train/')
            if name.startswith('loss') and name != key:
                self._add(runner, 'losses', name, step, float(history.mean(window)))

    def _add(self, runner: Runner, panel: str, name: str, step: int, value: float) -> None:
        curves = runner.message_hub.get_info('learning_curve', {'losses': {}, 'metrics': {}})
        points = curves[panel].setdefault(name, [])
        # A step that was measured twice counts once: the later value belongs to the kept weights.
        points[:] = [point for point in points if point[0] < step] + [[step, value]]
        runner.message_hub.update_info('learning_curve', curves)

    def _plot_now_and_then(self, runner: Runner) -> None:
        if time.monotonic() - self._last_plotted >= self.min_seconds:
            self._plot(runner)

    @master_only
    def _plot(self, runner: Runner) -> None:
        curves = runner.message_hub.get_info('learning_curve')
        if not curves:
            return
        by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
        figure = plot_learning_curve(**curves, xlabel='iteration' if by_iter else 'epoch')
        picture = io.BytesIO()
        figure.savefig(picture, format='png')
        AtomicLocalBackend().put(picture.getvalue(), Path(runner.work_dir, self.filename))
        self._last_plotted = time.monotonic()
