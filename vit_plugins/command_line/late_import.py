"""Import the code of a tool only after its arguments are read: torch takes seconds to load."""

from importlib import import_module
from typing import Any


def run_command(name: str, *arguments: Any) -> Any:
    """Run a module of :mod:`.commands` and return its result.

    Args:
        name: The module; its ``run`` is called.
        *arguments: The arguments of ``run``, first those of the command line.
    """
    return import_module(f'{__package__}.commands.{name}').run(*arguments)
