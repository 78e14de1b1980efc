"""Set the batch size: ``--batch-size``."""

from __future__ import annotations

from mmengine.config import Config

from .learning_rate import set_lr
from .walking import LOADERS, type_name


def set_batch_size(cfg: Config, size: int, *, scale_lr: bool = True) -> Config:
    """Set the batch size of training and validation, and scale the learning rate with it.

    The linear rule (arXiv 1706.02677, Section 2.1) is: a batch of twice the size uses twice the
    rate.

    Args:
        cfg: A config, changed in place.
        size: Number of images in a step on each device.
        scale_lr: Whether the learning rate is scaled as well; False if the user sets it.

    Returns:
        The same config.

    Raises:
        ValueError: If the size is below 1, the recipe composes its batches itself, or there is
            no single learning rate to scale.
    """
    if size < 1:
        raise ValueError(f'--batch-size must be at least 1, got {size}')
    train = cfg.get('train_dataloader') or {}
    if train.get('batch_sampler') or not train.get('batch_size'):
        raise ValueError(
            f'--batch-size {size}: this recipe composes its batches itself '
            f'({type_name(train.get("batch_sampler") or {}) or "no batch_size"}); set it in '
            'train_dataloader with --cfg-options'
        )
    sampler = train.get('sampler') or {}
    per_class = sampler.get('samples_per_class') or 1
    if size % per_class:
        raise ValueError(
            f'--batch-size {size}: {type_name(sampler)} puts {per_class} images of a class into a '
            f'batch, so the size must be a multiple of {per_class}'
        )
    before = train['batch_size']
    if scale_lr and size != before:
        optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
        if not optimizer.get('lr'):
            raise ValueError(
                f'--batch-size {size}: the learning rate cannot follow: this recipe has no single '
                'optimizer; give --lr, or set train_dataloader.batch_size with --cfg-options'
            )
        set_lr(cfg, float(f'{optimizer["lr"] * size / before:.6g}'))
        if cfg.get('auto_scale_lr'):
            # the rate now belongs to this batch size: --auto-scale-lr adds the ranks
            cfg.auto_scale_lr.base_batch_size = round(
                cfg.auto_scale_lr.base_batch_size * size / before
            )
    for loader in LOADERS:
        if cfg.get(loader) and cfg[loader].get('batch_size'):
            cfg[loader].batch_size = size
    if sampler.get('batch_size'):  # a sampler that composes batches
        sampler['batch_size'] = size
    return cfg
