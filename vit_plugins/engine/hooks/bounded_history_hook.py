"""Keep as many of the logged values as something reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

MOST = 1_000_000  # the host's length


@HOOKS.register_module()
class BoundedHistoryHook(Hook):
    """Keep as many of the logged values as something reads, and at least the last ``length``.

    The host keeps the last million values of each loss, learning rate and time. It copies all of
    them in each step and saves them in each checkpoint, so that memory, time and files grow with
    the steps. Windows of the log and of the learning curve that are longer than ``length`` are
    respected; if the log takes a value over the whole training (``window_size='global'``), or
    a dataset has no length, the host's million values are kept. The tools here add this hook.

    Args:
        length: How many values to keep at least.

    Raises:
        ValueError: If ``length`` is not positive.
    """

    priority = 'LOWEST'

    def __init__(self, length: int = 10_000) -> None:
        if not length >= 1:
            raise ValueError(f'length must be at least 1, got {length}')
        self.length = length

    def __repr__(self) -> str:
        return f'BoundedHistoryHook(length={self.length})'

    def before_train(self, runner: Runner) -> None:
        """Bound what a checkpoint has brought.

        Args:
            runner: The runner.
        """
        self._bound(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Bound what is logged since a few steps only."""
        if self.every_n_train_iters(runner, 100):
            self._bound(runner)

    def _bound(self, runner: Runner) -> None:
        windows = [self.length, *_windows(runner)]
        if None not in windows:
            for history in runner.message_hub.log_scalars.values():
                history.max_length = min(max(windows), MOST)  # from the next value on


def _windows(runner: Runner) -> Iterator[int | None]:
    """Yield over how many values something is taken; None is over all."""
    loop, processor = runner.train_loop, runner.log_processor
    # the learning curve: an epoch, or from validation to validation
    yield _batches(loop.dataloader)
    yield loop.val_interval
    if runner.val_loop is not None:
        yield _batches(runner.val_loop.dataloader)  # the host's mean time
    yield processor.window_size
    for settings in processor.custom_cfg:
        window = settings.get('window_size', 'global')
        if window != 'epoch':
            yield None if window == 'global' else window


def _batches(dataloader: DataLoader) -> int | None:
    try:
        return len(dataloader)
    except TypeError:  # an IterableDataset without a length
        return None
