"""Load numpy arrays from a pickle that is not trusted.

A pickle gives a state to ``numpy.dtype``, and a dtype and bytes to an array. Numpy trusts them: a
dtype whose state names fields of objects makes it follow pointers from the file. Here plain
stand-ins receive both, check them, and build the array with numpy's checked functions.
"""

import re
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

from .allow_list_unpickler import RefusedError

# Boolean, integer, float, complex, bytes and text: types without pointers and fields.
MOST_EMPTY = 1 << 16  # rows of an array without numbers
PLAIN_CODE = re.compile(r'\?|[biufc]\d{1,2}|[SU]\d{1,9}')


def _refused(name: str, what: object) -> RefusedError:
    # torch adds a page of text to an error; "GLOBAL ... on ..." is found again in it.
    # reprlib: the text of nested tuples may have no end.
    return RefusedError(f'refused GLOBAL {name} on {reprlib.repr(what):.200}')


class PlainDtype:
    """Replaces ``numpy.dtype``; numpy accepts it wherever it accepts a dtype.

    Args:
        code: Type and size, such as ``'f8'``.
        args: Whether to align and to copy, which do not matter.

    Raises:
        RefusedError: If the code is not one of plain numbers or strings.
    """

    def __init__(self, code: str, *args: object) -> None:
        if not isinstance(code, str) or not PLAIN_CODE.fullmatch(code):
            raise _refused('numpy.dtype', code)
        try:
            self.dtype = np.dtype(code)
        except TypeError:
            raise _refused('numpy.dtype', code) from None

    def __setstate__(self, state: tuple) -> None:
        try:
            _, *described, _ = state  # version and flags are not used: the state goes nowhere
            dtype = self.dtype.newbyteorder(described[0])
            is_plain = described == list(dtype.__reduce__()[2][1:-1])
        except (LookupError, TypeError, ValueError):
            is_plain = False
        if not is_plain:
            raise _refused('numpy.dtype', state)
        self.dtype = dtype


class PlainArray(np.ndarray):
    """Replaces ``numpy.ndarray``, empty until its state is set; it is pickled as an ndarray."""

    def __new__(cls) -> 'PlainArray':
        """Return an empty array."""
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple) -> None:
        try:
            _, shape, dtype, is_fortran, content = state
            array = _shaped(dtype, content, shape, 'F' if is_fortran else 'C')
        except (TypeError, ValueError):
            raise _refused('numpy.ndarray', state) from None
        super().__setstate__(array.__reduce__()[2])

    def __reduce_ex__(self, protocol: int) -> tuple:
        return np.asarray(self).__reduce_ex__(protocol)


def _from_bytes(dtype: PlainDtype, content: bytes | str) -> np.ndarray:
    if not isinstance(dtype, PlainDtype):
        raise TypeError(dtype)
    if isinstance(content, str):  # bytes from Python 2
        content = content.encode('latin1')
    return np.frombuffer(content, dtype.dtype)


def _shaped(dtype: PlainDtype, content: bytes | str, shape: tuple, order: str) -> np.ndarray:
    array = _from_bytes(dtype, content).reshape(shape, order=order)
    if max(array.shape, default=0) > max(array.size, MOST_EMPTY):
        raise ValueError(shape)  # an array of a billion empty rows
    return array


def frombuffer(
    content: bytes | bytearray,
    dtype: PlainDtype,
    shape: tuple,
    order: str,
    axes: tuple | None = None,
) -> PlainArray:
    """Replace numpy's ``_frombuffer``, with which protocol 5 writes arrays.

    Args:
        content: The bytes.
        dtype: The dtype of its numbers.
        shape: The shape.
        order: ``'C'``, ``'F'``, or ``'K'`` with ``axes``.
        axes: The order of the axes in memory.

    Raises:
        RefusedError: If the arguments do not describe one array.
    """
    try:
        array = _shaped(dtype, content, shape, 'C' if order == 'K' else order)
        return (array if axes is None else array.transpose(axes)).view(PlainArray)
    except (TypeError, ValueError):
        raise _refused('numpy._core.numeric._frombuffer', shape) from None


def reconstruct(kind: type, *args: object) -> PlainArray:
    """Replace numpy's ``_reconstruct``: return an array without content.

    Args:
        kind: The class that the file names: ``numpy.ndarray``.
        args: Shape and code, which the state replaces later.

    Raises:
        RefusedError: If it is another class.
    """
    if kind is not PlainArray:
        raise _refused('numpy._core.multiarray._reconstruct', kind)
    return PlainArray()


def scalar(dtype: PlainDtype, content: bytes | str = b'') -> np.generic:
    """Replace numpy's ``scalar``: return a numpy number or string.

    Args:
        dtype: The dtype of the value.
        content: The bytes of the value.

    Raises:
        RefusedError: If the bytes are not those of one such value.
    """
    try:
        (value,) = _from_bytes(dtype, content)
    except (TypeError, ValueError):
        raise _refused('numpy._core.multiarray.scalar', (dtype, content)) from None
    return value


def latin1(text: str, encoding: str) -> bytes:
    """Replace ``codecs.encode``, with which protocol 2 writes bytes.

    Args:
        text: The bytes as characters.
        encoding: Only ``'latin1'``.

    Raises:
        RefusedError: If it is another encoding.
    """
    if encoding != 'latin1' or not isinstance(text, str):
        raise _refused('_codecs.encode', (text, encoding))
    return text.encode('latin1')


def no_bytes(*content: object) -> bytes:
    """Replace ``bytes``, with which protocol 2 writes no bytes, such as those of an empty array.

    Args:
        content: Must be empty; a number would fill the memory.

    Raises:
        RefusedError: If it is not empty.
    """
    if content:
        raise _refused('builtins.bytes', content)
    return b''


# With the names of numpy 1 and of numpy 2.
ARRAY_GLOBALS: dict[str, Callable[..., Any]] = {
    'numpy.dtype': PlainDtype,
    'numpy.ndarray': PlainArray,
    'builtins.bytes': no_bytes,
    **{f'numpy.{core}.multiarray._reconstruct': reconstruct for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': scalar for core in ('core', '_core')},
    **{f'numpy.{core}.numeric._frombuffer': frombuffer for core in ('core', '_core')},
}


def unwrap(content: Any, seen: set[int] | None = None) -> Any:
    """Return content with numpy's own types in the place of the stand-ins.

    Args:
        content: Nested dicts, lists, tuples and history buffers, changed in place.
        seen: Containers that were visited before.
    """
    if isinstance(content, PlainArray):
        return content.view(np.ndarray)
    if isinstance(content, PlainDtype):
        return content.dtype
    if type(content) is tuple:
        return tuple(unwrap(item, seen) for item in content)
    seen = set() if seen is None else seen
    inner = vars(content) if isinstance(content, HistoryBuffer) else content
    if id(inner) in seen or not isinstance(inner, dict | list):
        return content
    seen.add(id(inner))
    for key, item in list(inner.items() if isinstance(inner, dict) else enumerate(inner)):
        inner[key] = unwrap(item, seen)
    return content
