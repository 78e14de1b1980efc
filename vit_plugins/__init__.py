"""Vision transformers that learn from little data, as a plugin of MMPretrain.

Importing the package registers its parts with MMPretrain. The commands of this package alone do
that later, after they have read their arguments, as it takes seconds.
"""

import sys
from typing import TYPE_CHECKING

from .command_line.own_process import is_own_command
from .deprecation import moved_modules
from .host import memory_reuse, thread_waiting  # noqa: F401  (in our own commands: before torch)
from .resources import package_version

if TYPE_CHECKING:
    from .inference.classify import Classifier
    from .inference.search import Searcher

__all__ = ['Classifier', 'Searcher', '__version__', 'register']

moved_modules.install()

__version__ = package_version()


def register() -> None:
    """Register all parts with MMPretrain; a second call changes nothing.

    Raises:
        HostError: MMPretrain or what it needs is missing or unfit.
    """
    from .host.check import check_host

    check_host()

    from . import datasets, engine, evaluation, fileio, models  # noqa: F401  (registration)
    from .weights import fitted, index, safe_reading

    safe_reading.register()
    fitted.register()
    index.register_models()


def __getattr__(name: str) -> type:
    """Import what programs use when it is first asked for: it takes longer than registration."""
    if name == 'Classifier':
        from .inference.classify import Classifier

        return Classifier
    if name == 'Searcher':
        from .inference.search import Searcher

        return Searcher
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


if not is_own_command(sys.argv, sys.orig_argv):
    register()
