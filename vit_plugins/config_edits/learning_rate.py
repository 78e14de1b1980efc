"""Set the learning rate: ``--lr``."""

from __future__ import annotations

import math

from mmengine.config import Config

from .epoch_count import schedules_of

RATES = ('warmup_lr', 'eta_min')  # settings of schedules that are learning rates, not ratios


def set_lr(cfg: Config, lr: float) -> Config:
    """Set the highest learning rate; the rates in schedules keep their ratio to it.

    Args:
        cfg: A config with one optimizer, changed in place.
        lr: The learning rate, above 0.

    Returns:
        The same config.

    Raises:
        ValueError: If the rate is not positive, or there is no optimizer with a learning rate.
    """
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f'--lr must be a positive number, got {lr}')
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer')
    if not optimizer or optimizer.get('lr') is None:
        raise ValueError(
            f'--lr {lr}: this recipe has no single optimizer with a learning rate; set the rates '
            'in optim_wrapper with --cfg-options'
        )
    factor = lr / optimizer['lr']
    optimizer['lr'] = lr
    for schedule in schedules_of(cfg):
        for key in RATES:
            if schedule.get(key):
                schedule[key] = float(f'{schedule[key] * factor:.6g}')
    return cfg
