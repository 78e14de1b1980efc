"""Increase the epochs for fewer images, so that the number of steps stays."""

from __future__ import annotations

from mmengine.config import Config


def scaled_epochs(epochs: int, fraction: float) -> int:
    """Compute the epochs that give the same number of steps with fewer images: epochs / fraction.

    Args:
        epochs: The epochs with all images.
        fraction: The fraction of the images, within (0, 1].

    Raises:
        ValueError: If the fraction is out of range.

    >>> scaled_epochs(300, 0.1)  # ConViT's ten percent of ImageNet
    3000
    """
    if not 0 < fraction <= 1:
        raise ValueError(f'fraction must lie within (0, 1], got {fraction}')
    return round(epochs / fraction)


def scale_epochs(cfg: Config, fraction: float) -> Config:
    """Multiply the epochs by 1 / fraction; the number of validations and the warm-up stay.

    A schedule that ends with the training is stretched. One that ends before stays the same; this
    is a warm-up, whose length the papers keep. Milestones, the interval between checkpoints and
    the end of a ``LossWeightHook`` are stretched.

    Args:
        cfg: A config that trains by epoch, changed in place.
        fraction: The fraction of the images that it trains on.

    Returns:
        The same config.

    Raises:
        ValueError: If training or a schedule counts iterations, or a schedule outlasts training.
    """
    train = cfg.train_cfg
    if not train.get('max_epochs'):
        raise ValueError('train_cfg has no max_epochs: only training by epoch can be scaled')
    before = train.max_epochs
    after = train.max_epochs = scaled_epochs(before, fraction)
    checkpoint = cfg.get('default_hooks', {}).get('checkpoint') or {}
    for owner, key in ((train, 'val_interval'), (checkpoint, 'interval')):
        if owner.get(key, 0) > 0:
            owner[key] = scaled_epochs(owner[key], fraction)
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] == 'LossWeightHook' and hook.get('total_epochs'):
            hook['total_epochs'] = scaled_epochs(hook['total_epochs'], fraction)
    schedules = cfg.get('param_scheduler') or []
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        _stretch(schedule, before, after)
    return cfg


def _stretch(schedule: dict, before: int, after: int) -> None:
    if not schedule.get('by_epoch', True):
        raise ValueError(f'{schedule["type"]} counts iterations: set its length by hand')
    begin = schedule.get('begin', 0)
    if 'milestones' in schedule:
        schedule['milestones'] = [round(m * after / before) for m in schedule['milestones']]
    for key, offset in (('end', 0), ('total', 0), ('T_max', begin), ('total_iters', begin)):
        length = schedule.get(key)
        if length is None:
            continue
        if length + offset == before:
            schedule[key] = after - offset
        elif length + offset > before:
            raise ValueError(
                f'{schedule["type"]} has {key}={length}, longer than the {before} epochs of the '
                'training: it cannot be scaled with them; set its length by hand'
            )
