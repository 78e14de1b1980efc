"""Set the seed: ``--seed``."""

from __future__ import annotations

from mmengine.config import Config

HIGHEST = 2**32 - 1  # the highest seed of numpy


def set_seed(cfg: Config, seed: int) -> Config:
    """Set the seed of all random numbers; the held-out images stay the same.

    Args:
        cfg: A config, changed in place.
        seed: The seed.

    Returns:
        The same config.

    Raises:
        ValueError: If the seed is negative or too large.
    """
    if not 0 <= seed <= HIGHEST:
        raise ValueError(f'--seed must lie between 0 and {HIGHEST}, got {seed}')
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    return cfg
