"""A runner that writes its config when it begins, not when it is built."""

from mmengine.registry import RUNNERS
from mmengine.runner import Runner


class LateConfig:
    """What is mixed into a runner: building it leaves the config in its work dir alone.

    The host writes the config as soon as the runner is built. A run that then fails, because of
    a metric or an optimizer, would leave a finished run beside the config of another one.
    """

    _has_begun = False

    def dump_config(self) -> None:
        """Do nothing while the runner is built."""
        if self._has_begun:
            super().dump_config()

    def write_config(self) -> None:
        """Write the config into the work dir, where training or testing begins."""
        self._has_begun = True
        self.dump_config()


def late_runner(name: str = 'Runner') -> type[Runner]:
    """Return a runner of the registry that writes its config late.

    Args:
        name: The name of the runner.

    Raises:
        KeyError: There is no such runner.
    """
    kind = RUNNERS.get(name)
    if kind is None:
        raise KeyError(f'No runner is registered under the name {name!r}.')
    return type(kind.__name__, (LateConfig, kind), {})
