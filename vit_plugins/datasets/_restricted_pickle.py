"""Load pickled annotations without running the functions that a pickle names."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..weights.allow_list_unpickler import (
    AllowListUnpickler,
    RefusedError,
    require_plain_keys,
)
from ..weights.expanded_size import require_bounded
from ..weights.plain_arrays import (
    ARRAY_GLOBALS,
    PlainArray,
    PlainDtype,
    latin1,
    unwrap,
)


def _plain_set(items: Iterable = ()) -> set:
    require_plain_keys(items)
    return set(items)


_GLOBALS = {**ARRAY_GLOBALS, '_codecs.encode': latin1, 'builtins.set': _plain_set}


def load_restricted_pickle(path: str | Path) -> Any:
    """Load a pickle of plain containers, numbers, strings and NumPy arrays.

    ``pickle.load`` calls any function that the file names. Here only the functions that rebuild an
    array are allowed; lists, dicts, strings and numbers need no function.

    Args:
        path: The file, of Python 2 or 3.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        pickle.UnpicklingError: If the file names something else, or is damaged.
    """
    data = Path(path).read_bytes()
    try:  # strings and arrays of Python 2 are in Latin-1
        content = _Restricted(io.BytesIO(data), encoding='latin1').load()
        require_bounded(content, len(data))
        return unwrap(content)
    except RefusedError as error:
        if not str(error).startswith('refused GLOBAL '):
            raise _damaged(path, error) from error
        what = str(error).removeprefix('refused GLOBAL ')
        raise pickle.UnpicklingError(
            f'{path} names {what}, which annotations do not need. It is not loaded, because a '
            'pickle can run code: download the file from its publisher'
        ) from error
    except Exception as error:  # numpy raises many types of errors at damaged arrays
        raise _damaged(path, error) from error


class _Restricted(AllowListUnpickler):
    buildable = (PlainArray, PlainDtype)

    def find_class(self, module: str, name: str) -> Any:
        """Return a global of the file, if it is allowed."""
        try:
            return _GLOBALS[f'{module}.{name}'.replace('__builtin__.', 'builtins.')]
        except KeyError:
            raise RefusedError(f'refused GLOBAL {module}.{name}') from None


def _damaged(path: str | Path, error: Exception) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f'{path} is not a complete pickle ({type(error).__name__}: {error}): download it again'
    )
