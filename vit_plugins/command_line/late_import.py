"""What a tool does is imported once its arguments are read: torch takes seconds to load."""

from importlib import import_module
from typing import Any


def run_command(name: str, *arguments: Any) -> Any:
    """Run a module of :mod:`.commands` and return what it does.

    Args:
        name: The module; its ``run`` is called.
        *arguments: What it is called with, the arguments that were read first.
    """
    return import_module(f'{__package__}.commands.{name}').run(*arguments)
