"""Another seed: ``--seed``."""

from __future__ import annotations

from mmengine.config import Config

HIGHEST = 2**32 - 1  # what numpy takes


def set_seed(cfg: Config, seed: int) -> Config:
    """Start and draw at random from this seed; which images are held out stays.

    Args:
        cfg: A config, changed in place.
        seed: The seed.

    Returns:
        The same config.

    Raises:
        ValueError: If it is negative or too large.
    """
    if not 0 <= seed <= HIGHEST:
        raise ValueError(f'--seed must lie between 0 and {HIGHEST}, got {seed}')
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    return cfg
