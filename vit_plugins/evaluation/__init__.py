"""Registered metrics, and the pure functions behind them in ``functional``."""

from .metrics import *  # noqa: F403
