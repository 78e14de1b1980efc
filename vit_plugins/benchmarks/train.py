"""Time a training step of the digits recipe: the cost of loop, hooks, logging and data."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..config_edits.reading import read_config_file
from ..engine.launch import build_trainer
from ..engine.run_defaults import set_loader_defaults
from ..resources import resource_root
from .comparison import Comparison, Side
from .setting import Setting

# (images, batch, workers)
EPOCHS = {
    'toy': ((16, 8, 0),),
    'cpu': ((1438, 64, 1), (1438, 64, 0)),
    'gpu': ((1438, 64, 1), (1438, 64, 4)),
    'large': ((1438, 359, 4),),
    'scaling': tuple((1438, batch, 1) for batch in (16, 64, 256)),
}
EPOCHS_BEFORE_END = 10_000  # more than a measurement needs: schedules hardly advance


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {
        _name(*row): dict(zip(('images', 'batch', 'workers'), row, strict=True))
        for row in EPOCHS[size]
    }


def _name(images: int, batch: int, workers: int) -> str:
    return f'epoch of {images} digits, batches of {batch}, workers: {workers}'


def build(setting: Setting, *, images: int, batch: int, workers: int) -> Comparison:
    """Return an epoch of the runner without its validation, and parts of this epoch.

    'model' does the same number of steps on batches in memory. 'model + loader' reads the batches
    from the runner's loader. The rest of the time is the loop with hooks and logging.

    Args:
        setting: Not used: the runner uses a GPU if there is one.
        images: Number of images in the epoch.
        batch: Number of images in a step.
        workers: Number of loading processes.
    """
    folder = TemporaryDirectory()
    cfg = read_config_file(resource_root() / 'configs' / 'convit_drloc_digits.py')
    cfg.work_dir, cfg.log_level = folder.name, 'WARNING'
    cfg.train_cfg.max_epochs = EPOCHS_BEFORE_END
    cfg.train_dataloader.dataset.indices = images
    cfg.train_dataloader.batch_size = batch
    cfg.train_dataloader.num_workers = workers
    runner = _paused_runner(cfg)
    loop, model, optimizer = runner.train_loop, runner.model, runner.optim_wrapper
    in_memory = list(loop.dataloader)

    def steps(batches: Iterable[dict]) -> None:
        for given in batches:
            model.train_step(dict(given), optimizer)

    def epoch() -> None:
        with redirect_stdout(StringIO()):
            loop.run_epoch()

    alone = f'{len(in_memory)} steps of the model with its optimizer, the batches in memory'
    loaded = f'{len(in_memory)} steps with the loader, without loop and hooks'
    sides = {
        'ours': Side(epoch, lambda: []),
        'model': Side(lambda: steps(in_memory), about=alone),
        'model + loader': Side(lambda: steps(loop.dataloader), about=loaded),
    }
    return Comparison(_name(images, batch, workers), sides, 0.0, images=images, held=folder)


def _paused_runner(cfg: Config) -> Runner:
    """Return a runner that is ready for its first epoch: it began to train and was stopped."""
    set_loader_defaults(cfg, ['train', 'val', 'test'])
    with redirect_stdout(StringIO()):
        runner = build_trainer(cfg, quiet=True)
        runner.train_loop.run = lambda: runner.call_hook('before_train')
        runner.train()
    runner.model.train()
    return runner
