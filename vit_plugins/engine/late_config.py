"""A runner that writes its config when the run begins, not when the runner is built."""

from typing import Any

from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..fileio.terminal_filter import quieten
from .stated_step import StatedStep


class LateConfig:
    """Mixin for a runner: building the runner does not change the config in its work dir.

    The host writes the config as soon as the runner is built. If that run then fails, because of
    a metric or an optimizer, a finished run in the folder would be left with a foreign config.
    """

    _has_begun = False
    quiet = False  # whether config, hooks and parameter groups go to the log file only

    def dump_config(self) -> None:
        """Do nothing while the runner is built."""
        if self._has_begun:
            super().dump_config()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the host's logger; a quiet run shows less of it on the terminal.

        Args:
            *args: As in the host's runner.
            **kwargs: As in the host's runner.
        """
        logger = super().build_logger(*args, **kwargs)
        if self.quiet:
            quieten(logger)
        return logger

    def write_config(self) -> None:
        """Write the config into the work dir, when training or testing begins."""
        self._has_begun = True
        self.dump_config()


def late_runner(name: str = 'Runner', quiet: bool = False) -> type[Runner]:
    """Return a runner of the registry that writes its config late, see also `StatedStep`.

    Args:
        name: The name of the runner.
        quiet: Whether config, hooks and parameter groups go to the log file only.

    Raises:
        KeyError: There is no such runner.
    """
    kind = RUNNERS.get(name)
    if kind is None:
        raise KeyError(f'No runner is registered under the name {name!r}.')
    return type(kind.__name__, (LateConfig, StatedStep, kind), {'quiet': quiet})
