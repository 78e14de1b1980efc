"""A pickle reader that limits the names, states and keys that a file may use."""

import pickle
from collections.abc import Iterable
from struct import unpack

# They call or change objects in ways that no file of torch or numpy needs.
_LEFT_OUT = (
    pickle.NEWOBJ_EX,
    pickle.INST,
    pickle.OBJ,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
)
MOST_IN_KEY = 1000


class RefusedError(pickle.UnpicklingError):
    """A file uses an allowed name for something else than its purpose, or asks for too much."""


def require_plain_keys(keys: Iterable[object]) -> None:
    """Refuse keys whose hash takes forever: tuples that contain one another many times.

    Args:
        keys: The keys of a dict or the members of a set.

    Raises:
        RefusedError: If one is a tuple of more than 1,000 items, counting every repetition.
    """
    for key in keys:
        if isinstance(key, tuple | frozenset):
            left, waiting = MOST_IN_KEY, [key]
            while waiting:
                inner = waiting.pop()
                left -= len(inner)
                if left < 0:
                    raise RefusedError(f'refused GLOBAL builtins.{type(key).__name__} as a key')
                waiting += [item for item in inner if isinstance(item, tuple | frozenset)]


class AllowListUnpickler(pickle._Unpickler):
    """Reads pickles; subclasses decide in ``find_class`` which names a file may use.

    Python's own reader in C gives any state to any object, also to the classes and functions of
    the list, and allocates as much memory as a file asks for. Only the reader in Python allows
    these steps to be checked.
    """

    # Classes whose instances may be given a state.
    buildable: tuple[type, ...] = ()
    dispatch = {
        code: read
        for code, read in pickle._Unpickler.dispatch.items()
        if code not in [left_out[0] for left_out in _LEFT_OUT]
    }

    def load_build(self) -> None:
        """Set the state of an object."""
        kind = type(self.stack[-2])
        if kind not in self.buildable:
            raise RefusedError(
                f'refused GLOBAL {kind.__module__}.{kind.__qualname__} on a state of its own'
            )
        super().load_build()

    def load_bytearray8(self) -> None:
        """Read a bytearray; Python allocates its memory before it checks the file."""
        (size,) = unpack('<Q', self.read(8))
        content = self.read(size)
        if len(content) < size:
            raise EOFError(f'{size:,} bytes are announced and {len(content):,} follow')
        self.append(bytearray(content))

    def load_dict(self) -> None:
        """Make a dict of the items above the mark."""
        require_plain_keys(self.stack[::2])
        super().load_dict()

    def load_setitem(self) -> None:
        """Add an item to a dict."""
        require_plain_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Add items to a dict."""
        require_plain_keys(self.stack[::2])
        super().load_setitems()

    def load_additems(self) -> None:
        """Add items to a set."""
        require_plain_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        """Make a set of the items above the mark."""
        require_plain_keys(self.stack)
        super().load_frozenset()

    dispatch |= {
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.DICT[0]: load_dict,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
    }
