"""End a command with a message instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .worker_message import message_of

DEBUG = '--debug'


def run_in_words(command: Callable[[], object]) -> None:
    """Run a command; an error ends it with a message, or with a traceback under ``--debug``.

    Args:
        command: The command.

    Raises:
        SystemExit: If the command fails; the message says what went wrong.
    """
    try:
        command()
    except KeyboardInterrupt:
        if DEBUG in sys.argv:
            raise
        print('\nstopped', file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if DEBUG in sys.argv:
            raise
        raise SystemExit(f'{_sentence(error)}\n({DEBUG} shows where)') from None


def _sentence(error: Exception) -> str:
    kind = type(error).__name__
    if kind == 'OutOfMemoryError':
        return 'The GPU has too little memory: give a smaller --batch-size or --img-size, or --amp'
    return f'{kind}: {message_of(error)}' if str(error) else kind
