"""Set the number of epochs: ``--epochs``."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config

from .walking import type_name, walk

# Lengths of a schedule, in its own unit.
TIMES = ('begin', 'end', 'T_max', 'total_iters', 'total', 'step_size')
# The arguments of hooks for the epoch at which they act or end.
EPOCHS_OF_HOOKS = ('action_epoch', 'begin_epoch', 'total_epochs')


def set_epochs(cfg: Config, epochs: int) -> Config:
    """Set the number of epochs; schedules, warm-up and intervals keep their shares.

    Args:
        cfg: A config that trains by epoch, changed in place.
        epochs: The number of epochs, at least 1.

    Returns:
        The same config.

    Raises:
        ValueError: If the number is below 1, or the recipe counts iterations.
    """
    if epochs < 1:
        raise ValueError(f'--epochs must be at least 1, got {epochs}')
    before = (cfg.get('train_cfg') or {}).get('max_epochs')
    if not before:
        length = (cfg.get('train_cfg') or {}).get('max_iters')
        raise ValueError(
            f'--epochs {epochs}: this recipe counts steps, not epochs (max_iters={length}). Set '
            '--cfg-options train_cfg.max_iters=N, or --time-limit'
        )
    factor = epochs / before
    for schedule in schedules_of(cfg):
        if not schedule.get('by_epoch', True):
            raise ValueError(
                f'--epochs {epochs}: {type_name(schedule)} of this recipe counts steps, so that '
                'it would not follow. Set param_scheduler in a config of your own'
            )
        _scale(schedule, factor)
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    for owner, key in ((cfg.train_cfg, 'val_interval'), (checkpoint, 'interval')):
        if owner.get(key, 0) > epochs:
            owner[key] = epochs
    for hook in walk(cfg.get('custom_hooks')):
        for key in EPOCHS_OF_HOOKS:
            if hook.get(key):
                hook[key] = max(round(hook[key] * factor), 1)
    cfg.train_cfg.max_epochs = epochs
    return cfg


def schedules_of(cfg: Config) -> Iterator[dict]:
    """Yield the schedules of a config with one optimizer or several.

    Args:
        cfg: The config.
    """
    return (node for node in walk(cfg.get('param_scheduler')) if 'type' in node)


def _scale(schedule: dict, factor: float) -> None:
    for key in TIMES:
        if schedule.get(key):
            schedule[key] = max(round(schedule[key] * factor), 1)
    if schedule.get('milestones'):
        schedule['milestones'] = [round(time * factor) for time in schedule['milestones']]
    if schedule.get('warmup'):
        schedule['warmup'] = round(schedule['warmup'] * factor, 3)
        if factor < 1:
            schedule.setdefault('convert_to_iter_based', True)  # fractions of an epoch
