"""Describe a training before its first step."""

from __future__ import annotations

from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner

from .device import device_name
from .memory_forecast import step_bytes


def training_briefing(runner: Runner) -> list[str]:
    """Return device, model, images and length of a training in lines of text.

    Args:
        runner: The runner of the training.
    """
    model = runner.model.module if hasattr(runner.model, 'module') else runner.model
    kind = type(getattr(model, 'backbone', model)).__name__
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    images = f'{len(runner.train_dataloader.dataset):,} images to train on'
    if runner.val_loop is not None:
        images += f', {len(runner.val_loop.dataloader.dataset):,} to validate'
    length = f'{runner.max_iters:,} steps of {runner.train_dataloader.batch_size or "?"}'
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        plural = '' if runner.max_epochs == 1 else 's'
        length = f'{runner.max_epochs} epoch{plural}, {length}'
    memory = step_bytes(runner)
    ranks = f', {get_world_size()} ranks' if get_world_size() > 1 else ''
    lines = [
        f'Device: {device_name()}{ranks}. Model: {kind}, {parameters:.1f} M parameters',
        f'{images}; {length} images each. Log, config and weights: {runner.work_dir}',
    ]
    if memory is not None:
        lines.append(
            f'Memory, a forecast: {memory / 2**30:.1f} GiB for weights, gradients, optimizer and '
            'what a step keeps, beside the program itself and loaded images'
        )
    return lines
