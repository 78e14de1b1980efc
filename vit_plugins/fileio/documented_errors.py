"""One place that keeps what a reader raises to the kinds that its documentation names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def documented_errors(
    *documented: type[Exception], otherwise: Callable[[str], Exception]
) -> Iterator[None]:
    """Let the documented errors of a reader pass and turn all others into one of them.

    The parsers below a reader raise dozens of kinds at a damaged or crafted file, most of them in
    no document: KeyError, struct.error, RecursionError, MemoryError and more.

    Args:
        documented: The kinds that pass as they are.
        otherwise: Makes the error to raise in the place of another one, given its kind and text.
    """
    try:
        yield
    except RecursionError as error:  # a RuntimeError, which may be a documented kind
        raise otherwise('it is nested too deeply') from error
    except documented:
        raise
    except Exception as error:
        text = ' '.join(str(error).split())
        kind = type(error).__name__
        raise otherwise(f'{kind}: {text:.400}' if text else kind) from error
