"""How many processes load images: ``--workers``."""

from __future__ import annotations

from mmengine.config import Config

from .walking import LOADERS


def set_workers(cfg: Config, count: int) -> Config:
    """Load images in so many processes, 0 for none of their own.

    Args:
        cfg: A config, changed in place.
        count: How many for each loader.

    Returns:
        The same config.

    Raises:
        ValueError: If it is negative.
    """
    if count < 0:
        raise ValueError(f'--workers must be 0 or more, got {count}')
    for name in LOADERS:
        loader = cfg.get(name)
        if not loader:
            continue
        loader.num_workers = count
        if count == 0:
            for key in ('persistent_workers', 'prefetch_factor'):  # of processes only
                loader.pop(key, None)
    return cfg
