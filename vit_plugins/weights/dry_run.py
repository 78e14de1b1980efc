"""Compute how much memory a checkpoint would take, before any is allocated.

``torch.load`` trusts the numbers in a file: it allocates a storage of the size that a pickle says,
calls ``bytearray`` with a number, and gives a tensor a shape of any length and step 0. Here the
pickle is read once with inert objects in the place of everything that it names, and the memory
that they would need is added up.
"""

import math
import operator
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from .allow_list_unpickler import AllowListUnpickler, RefusedError, require_plain_keys
from .archive import open_pickle

SPARE = 1 << 20  # a file of any size may ask for this many numbers
VIEWS = 4  # how often, on average, a number of the file may be seen by tensors
PICKLES = 5  # in files before torch 1.6: magic number, protocol, system, content, keys
# The index of the shape among the arguments; the steps, which are large and harmless, follow.
SHAPES = {
    'torch._utils._rebuild_tensor': 2,
    'torch._utils._rebuild_tensor_v2': 2,
    'torch._utils._rebuild_tensor_v3': 2,
    'torch._utils._rebuild_qtensor': 2,
}
HASHED = ('builtins.set', 'builtins.frozenset', 'collections.Counter', 'collections.OrderedDict')
# These take numbers as arguments, but allocate no memory for them.
HARMLESS = (*HASHED, 'torch.Size', 'torch._utils._rebuild_meta_tensor_no_storage')


def check_archived_pickle(path: Path, records: Mapping[str, int]) -> int:
    """Check the pickle of an archive without building what it describes.

    Args:
        path: An archive.
        records: The size of each record in bytes, see :func:`.archive.check_archive`.

    Returns:
        The protocol of the pickle.

    Raises:
        RefusedError: If the content would need more memory than the size of the file.
        Exception: Any error, if it is not a pickle of torch.
    """
    with zipfile.ZipFile(path) as archive, open_pickle(archive) as file:
        return _Sketch(file, path.stat().st_size, records).run()


def check_pickles(path: Path) -> None:
    """Check the pickles of a file from before torch 1.6, as :func:`check_archived_pickle` does.

    Args:
        path: The file.

    Raises:
        RefusedError: If the content would need more memory than the size of the file.
        Exception: Any error, if the pickles are not those of torch.
    """
    with path.open('rb') as file:
        for _ in range(PICKLES):
            _Sketch(file, path.stat().st_size).run()


def has_whole_pickles(path: Path) -> bool:
    """Return whether a file from before torch 1.6 has all its pickles, without running them.

    Args:
        path: The file.
    """
    with path.open('rb') as file:
        try:
            for _ in range(PICKLES):
                for _ in pickletools.genops(file):
                    pass
        except Exception:  # any error; they are not documented
            return False
    return True


class _Named:
    """Replaces a class or function that the file names."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Made:
    """Replaces the result of a call in the file; accepts everything and keeps nothing."""

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def _take(self, item: object) -> None:
        pass

    append = extend = add = _take


class _Sketch(AllowListUnpickler):
    """Adds up the memory that a pickle would take.

    Args:
        file: The pickle.
        size: The size of its file in bytes.
        records: The sizes of the other records in bytes, if there are any.
    """

    def __init__(
        self, file: BinaryIO, size: int, records: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(file, encoding='latin1')
        self.proto = 0
        self._size = size
        self._records = records
        self._asked = 0  # numbers
        self._storages: dict[str, int] = {}  # bytes
        self._total = 0  # bytes of all storages

    def run(self) -> int:
        """Check the pickle and return its protocol."""
        self.load()
        return self.proto

    def find_class(self, module: str, name: str) -> _Named:
        return _Named(f'{module}.{name}'.replace('__builtin__.', 'builtins.'))

    def persistent_load(self, pid: object) -> _Made:
        try:
            _, kind, key, _, count, *_ = pid
            needed = operator.index(count) * _bytes_each(kind.name)
        except (TypeError, ValueError, AttributeError, KeyError):
            raise RefusedError('refused GLOBAL storage of an unknown kind') from None
        if not isinstance(key, str | int):  # printing a tuple of tuples may take forever
            raise RefusedError('refused GLOBAL storage without a name')
        name = str(key)
        there = self._size if self._records is None else self._records.get(f'data/{name}', -1)
        known = self._storages.get(name, 0)
        self._total += max(needed - known, 0)
        self._storages[name] = max(needed, known)
        if not 0 <= needed <= there or self._total > self._size:
            raise RefusedError(
                f'storage {name!r:.40} is to have {needed:,} bytes and all together '
                f'{self._total:,}, but the file has {max(there, 0):,} and {self._size:,}'
            )
        return _Made()

    def _call(self, function: object, args: object) -> _Made:
        if not isinstance(function, _Named) or not isinstance(args, tuple):
            raise RefusedError('refused GLOBAL: something is called that is no name')
        if args and function.name in HASHED:
            items = _within(args)
            pairs = [item for item in items if item and isinstance(item, list)]
            require_plain_keys([*items, *(pair[0] for pair in pairs)])
        if function.name not in HARMLESS:
            index = SHAPES.get(function.name)
            asking = args if index is None else args[index : index + 1]
            self._asked += sum(map(_largest, _within(asking)))
        if self._asked > VIEWS * self._size + SPARE:
            raise RefusedError(
                f'refused GLOBAL {function.name} on {self._asked:,} numbers and more, in a file '
                f'of {self._size:,} bytes'
            )
        return _Made()

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        self.load_reduce()

    def load_build(self) -> None:
        self.stack.pop()

    dispatch = AllowListUnpickler.dispatch | {
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
    }


def _bytes_each(storage: str) -> int:
    if storage == 'torch.storage.UntypedStorage':
        return 1
    return torch.storage._storage_type_to_dtype_map()[storage.rpartition('.')[2]].itemsize


def _within(args: tuple) -> list:
    """Return arguments, and the items of arguments that are tuples or lists."""
    inner = [item for arg in args if isinstance(arg, tuple | list) for item in arg]
    return [*args, *inner]


def _largest(arg: object) -> int:
    """Return how many numbers a shape or a number asks for; 0 for other arguments."""
    if isinstance(arg, int):
        return max(arg, 0)
    if isinstance(arg, tuple | list) and all(isinstance(n, int) for n in arg):
        return math.prod(max(n, 0) for n in arg) if arg else 0
    return 0
