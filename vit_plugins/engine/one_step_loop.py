"""``--check``: does this config train on this machine?"""

import math
import tempfile

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import LOOPS
from torch import nn
from torch.utils.data import DataLoader

from .launch import TRAINED_ANEW, build_runner


@LOOPS.register_module()
class OneStepLoop(EpochBasedTrainLoop):
    """One batch, one optimisation step, one batch of validation; then it stops.

    Args:
        runner: The runner.
        dataloader: The dataloader, or its config.
        max_epochs: As in the training that is checked, so that schedules build alike.
        max_iters: The same, of a training that counts steps.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int = 1,
        max_iters: int | None = None,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs)
        self.length = f'{max_epochs} epochs'
        if max_iters is not None:
            self._max_iters = max_iters
            self.length = f'{max_iters} steps'
        self.batch_size = 0
        self.losses: dict[str, float] = {}
        self.metrics: dict[str, float] = {}

    def run(self) -> nn.Module:
        """Take the step; ``losses`` and ``metrics`` hold what came out."""
        runner = self.runner
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        runner.model.train()
        batch = next(iter(self.dataloader))
        self.batch_size = len(batch['inputs'])
        self.run_iter(0, batch)
        history = runner.message_hub.log_scalars
        self.losses = {
            key.removeprefix('train/'): history[key].current()
            for key in history
            if key.startswith('train/') and 'time' not in key
        }
        if runner.val_loop is not None:
            self.metrics = self._validate_one_batch()
        return runner.model

    def _validate_one_batch(self) -> dict[str, float]:
        loop = self.runner.val_loop
        self.runner.model.eval()
        batch = next(iter(loop.dataloader))
        loop.run_iter(0, batch)
        return loop.evaluator.evaluate(len(batch['inputs']) * self.runner.world_size)


def check_job(cfg: Config) -> str:
    """Build all that a config names, train one step, validate one batch, keep nothing.

    Args:
        cfg: A complete config; its work dir is not touched.

    Returns:
        A summary in a few lines.

    Raises:
        FloatingPointError: If a loss is not a finite number.
    """
    lengths = {
        key: cfg.train_cfg[key] for key in ('max_epochs', 'max_iters') if key in cfg.train_cfg
    }
    cfg.train_cfg = dict(type='OneStepLoop', **lengths)
    cfg.setdefault('default_hooks', {})['checkpoint'] = None
    cfg.log_level = 'WARNING'
    for split in ('train', 'val', 'test'):
        if cfg.get(f'{split}_dataloader') is not None:
            cfg[f'{split}_dataloader'].persistent_workers = False
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = build_runner(cfg, TRAINED_ANEW)
        runner.train()
        runner.visualizer.close()
    losses = runner.train_loop.losses
    if not all(map(math.isfinite, losses.values())):
        raise FloatingPointError(f'the first step gave {losses}; without --amp, is it finite?')
    return _summary(runner)


def _summary(runner: Runner) -> str:
    loop = runner.train_loop
    parameters = list(runner.model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    shown = '  '.join(f'{name} {value:.4g}' for name, value in loop.losses.items())
    lines = [
        f'model       {runner.model_name}, {trained:,} trained parameters '
        f'of {sum(p.numel() for p in parameters):,}, on {parameters[0].device}',
        f'training    {len(loop.dataloader.dataset):,} images, {len(loop.dataloader):,} '
        f'batches of {loop.batch_size}, {loop.length}',
        f'one step    {shown}',
    ]
    if runner.val_loop is not None:
        shown = '  '.join(f'{name} {value:.4g}' for name, value in loop.metrics.items())
        lines.append(
            f'validation  {len(runner.val_loop.dataloader.dataset):,} images; one batch: {shown}'
        )
    return '\n'.join([*lines, 'check passed: nothing was kept'])
