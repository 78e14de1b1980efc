"""End a command with a sentence, where Python would print a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

DEBUG = '--debug'


def run_in_words(command: Callable[[], object]) -> None:
    """Run a command; an error ends it in words, with ``--debug`` in a traceback.

    Args:
        command: The command.

    Raises:
        SystemExit: With what went wrong.
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
    return f'{kind}: {error}' if str(error) else kind
