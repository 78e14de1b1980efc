"""Set a time limit for a training: ``--time-limit 20m``."""

from __future__ import annotations

import re

from mmengine.config import Config

from .walking import type_name

UNITS = {'h': 3600, 'm': 60, 's': 1}
FORM = re.compile(r'(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?')


def parse_time(text: str | float) -> float:
    """Convert a duration to seconds.

    Args:
        text: For example ``20m``, ``1h30m``, ``90s``, or a number of seconds.

    Returns:
        Seconds, above 0.

    Raises:
        ValueError: If the text is not a duration.

    >>> parse_time('1h30m')
    5400.0
    """
    text = str(text).strip()
    found = FORM.fullmatch(text.lower())
    if re.fullmatch(r'\d+(\.\d*)?', text):
        seconds = float(text)
    elif found and any(found.groups()):
        seconds = sum(
            float(n or 0) * unit for n, unit in zip(found.groups(), UNITS.values(), strict=True)
        )
    else:
        raise ValueError(f'{text!r} is no duration: write it as 20m, 1h30m or 90s')
    if seconds <= 0:
        raise ValueError(f'{text!r} is no time at all: write it as 20m, 1h30m or 90s')
    return seconds


def set_time_limit(cfg: Config, seconds: float) -> Config:
    """Set a limit within which the training and its schedule end, counted from the first step.

    Args:
        cfg: A config, changed in place.
        seconds: The limit.

    Returns:
        The same config.

    Raises:
        ValueError: If the recipe already has a time limit.
    """
    hooks = list(cfg.get('custom_hooks') or [])
    if any(type_name(hook) == 'TimeBudgetHook' for hook in hooks if isinstance(hook, dict)):
        raise ValueError(
            f'--time-limit {seconds:g}s: this recipe has a TimeBudgetHook of its own; set its '
            'seconds in custom_hooks'
        )
    cfg.custom_hooks = [*hooks, dict(type='TimeBudgetHook', seconds=seconds)]
    return cfg
