"""Check that a config trains on this machine: ``--check``."""

from __future__ import annotations

import math
import tempfile
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from .launch import TRAINED_ANEW, build_trainer
from .sample_validation import (
    UnscoredSampleError,
    evaluate_sample,
    sample_batch,
    sampled_images,
)


class _StepTaken(Exception):
    """Leaves the training loop."""


class OneStepHook(Hook):
    """End a training after its first step, and validate a batch."""

    priority = 'LOWEST'  # all other hooks have seen the step

    def __init__(self) -> None:
        self.batch_size = 0
        self.losses: dict[str, float] = {}
        self.scores = ''

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Keep the results, validate, and leave the loop.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: The batch.
            outputs: Unused.
        """
        self.batch_size = len(data_batch['inputs'])
        history = runner.message_hub.log_scalars
        self.losses = {
            key.removeprefix('train/'): history[key].current()
            for key in history
            if key.startswith('train/') and 'time' not in key
        }
        if runner.val_loop is not None:
            self.scores = self._validate(runner)
        raise _StepTaken

    def _validate(self, runner: Runner) -> str:
        loop = runner.val_loop
        runner.model.eval()
        runner.call_hook('before_val_epoch')
        batch = sample_batch(loop.dataloader, runner.seed)
        loop.run_iter(0, batch)
        try:
            metrics = evaluate_sample(loop.evaluator, sampled_images(loop.dataloader))
        except UnscoredSampleError as error:  # for example a query without an answer
            return f'a batch cannot be scored ({error})'
        return 'one batch: ' + '  '.join(f'{name} {value:.4g}' for name, value in metrics.items())


def check_job(cfg: Config) -> str:
    """Check a config: build all its components, train one step, validate a random batch.

    Args:
        cfg: A complete config; nothing is kept, and its work dir is not touched.

    Returns:
        A summary in a few lines.

    Raises:
        FloatingPointError: If a loss is not a finite number.
    """
    cfg.log_level = 'WARNING'
    for split in ('train', 'val', 'test'):
        if cfg.get(f'{split}_dataloader') is not None:
            cfg[f'{split}_dataloader'].persistent_workers = False
    hook = OneStepHook()
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = build_trainer(cfg, TRAINED_ANEW)
        runner.register_hook(hook)
        try:
            runner.train()
        except _StepTaken:
            runner.visualizer.close()
    if not all(map(math.isfinite, hook.losses.values())):
        raise FloatingPointError(
            f'the first step gave {hook.losses}, which is not finite. Leave out --amp, lower the '
            'learning rate, or check std of data_preprocessor'
        )
    return _summary(runner, hook)


def _summary(runner: Runner, hook: OneStepHook) -> str:
    loop = runner.train_loop
    by_epoch = (runner.cfg.train_cfg or {}).get('max_epochs') is not None
    length = f'{loop.max_epochs} epochs' if by_epoch else f'{loop.max_iters} steps'
    parameters = list(runner.model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    shown = '  '.join(f'{name} {value:.4g}' for name, value in hook.losses.items())
    lines = [
        f'model       {runner.model_name}, {trained:,} trained parameters '
        f'of {sum(p.numel() for p in parameters):,}, on {parameters[0].device}',
        f'training    {len(loop.dataloader.dataset):,} images, {len(loop.dataloader):,} '
        f'batches of {hook.batch_size}, {length}',
        f'one step    {shown}',
    ]
    if runner.val_loop is not None:
        images = len(runner.val_loop.dataloader.dataset)
        lines.append(f'validation  {images:,} images; {hook.scores}')
    return '\n'.join([*lines, 'check passed: nothing was kept'])
