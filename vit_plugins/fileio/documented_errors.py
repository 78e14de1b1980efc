"""Limit the errors of a reader to those that its documentation names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def documented_errors(
    *documented: type[Exception], otherwise: Callable[[str], Exception]
) -> Iterator[None]:
    """Pass on the documented errors of a reader and turn all others into one of them.

    For a damaged or crafted file, the parsers that a reader uses raise dozens of error types,
    most of them undocumented: KeyError, struct.error, RecursionError, MemoryError and more.

    Args:
        documented: The error types that pass unchanged.
        otherwise: Makes the error that replaces another one, from its type and text.
    """
    try:
        yield
    except RecursionError as error:  # a RuntimeError, which may be documented
        raise otherwise('it is nested too deeply') from error
    except documented:
        raise
    except Exception as error:
        text = ' '.join(str(error).split())
        kind = type(error).__name__
        raise otherwise(f'{kind}: {text:.400}' if text else kind) from error
