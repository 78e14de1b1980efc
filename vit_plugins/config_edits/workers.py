"""Set the number of processes that load images: ``--workers``."""

from __future__ import annotations

from mmengine.config import Config

from .walking import LOADERS


def set_workers(cfg: Config, count: int) -> Config:
    """Set the number of processes that load images; 0 loads them in the main process.

    Args:
        cfg: A config, changed in place.
        count: Number of processes for each loader.

    Returns:
        The same config.

    Raises:
        ValueError: If the number is negative.
    """
    if count < 0:
        raise ValueError(f'--workers must be 0 or more, got {count}')
    for name in LOADERS:
        loader = cfg.get(name)
        if not loader:
            continue
        loader.num_workers = count
        if count == 0:
            for key in ('persistent_workers', 'prefetch_factor'):  # only valid with processes
                loader.pop(key, None)
    return cfg
