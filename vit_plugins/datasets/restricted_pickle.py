"""Read pickled annotations without running what a pickle may name."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

# What an array or a number of numpy is rebuilt with, under the names of numpy 1 and numpy 2.
_RECONSTRUCT = np.zeros(1).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
_GLOBALS = {
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    **{(f'numpy.{core}.multiarray', '_reconstruct'): _RECONSTRUCT for core in ('core', '_core')},
    **{(f'numpy.{core}.multiarray', 'scalar'): _SCALAR for core in ('core', '_core')},
    # how protocol 2 writes bytes, which is what an array holds, and no bytes
    ('_codecs', 'encode'): lambda text, encoding: _latin1(text, encoding),
    **{
        (module, name): kind
        for module in ('builtins', '__builtin__')
        for name, kind in (('set', set), ('bytes', lambda *content: _no_bytes(*content)))
    },
}


def load_restricted_pickle(path: str | Path) -> Any:
    """Read a pickle of plain containers, numbers, strings and numpy arrays.

    ``pickle.load`` calls whatever the file names. Here only what rebuilds an array is known;
    lists, dicts, strings and numbers need no name.

    Args:
        path: The file, of Python 2 or 3.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        pickle.UnpicklingError: If the file names something else, or is damaged.
    """
    data = Path(path).read_bytes()
    try:
        return _Restricted(io.BytesIO(data), path).load()
    except pickle.UnpicklingError as error:
        if str(path) in str(error):
            raise
        raise _damaged(path, error) from error
    except Exception as error:  # numpy raises all kinds on damaged arrays
        raise _damaged(path, error) from error


class _Restricted(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, path: str | Path) -> None:
        super().__init__(file, encoding='latin1')  # strings and arrays of Python 2
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """Look up a global of the file."""
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'{self.path} names {module}.{name}, which annotations do not need: it is not '
                'read, since a pickle can run code; fetch the file from its publisher'
            ) from None


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise ValueError(f'unknown encoding {encoding!r}')
    return text.encode('latin1')


def _no_bytes(*content: Any) -> bytes:
    if content:  # bytes(10**12) would fill the memory
        raise ValueError(f'bytes of {content!r}')
    return b''


def _damaged(path: str | Path, error: Exception) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f'{path} is no whole pickle ({type(error).__name__}: {error}): fetch the file again'
    )
