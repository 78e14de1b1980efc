"""Call ``torch.load`` with the allow-list of training checkpoints, on any version of torch.

Since torch 2.6 ``torch.load`` refuses everything that is not on its allow-list. This includes
MMEngine 0.10's own training checkpoints: they contain ``HistoryBuffer`` objects, whose state names
some of their methods through ``builtins.getattr``. If ``getattr`` itself were allowed, a crafted
file could get any attribute of any allowed object. Here it is therefore replaced by a function
that knows four names.
"""

import functools
import logging
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.utils import digit_version
from torch import nn

from .allow_list_unpickler import AllowListUnpickler, RefusedError
from .plain_arrays import ARRAY_GLOBALS, PlainArray, PlainDtype, latin1

MapLocation = str | torch.device | dict | Callable | None
# Since 2.6 `add_safe_globals` accepts the (object, name in the file) pairs needed below.
RESTRICTED = digit_version(torch.__version__.split('+')[0]) >= digit_version('2.6.0')
_HISTORY_METHODS = ('min', 'max', 'mean', 'current')
TORCH_PROTOCOL = 2  # of the pickles that torch.load reads by its own allow-list


def _history_getattr(obj: object, name: str) -> object:
    """Replaces ``builtins.getattr`` while a checkpoint is read."""
    if obj is HistoryBuffer and name in _HISTORY_METHODS:
        return getattr(obj, name)
    raise RefusedError(f'refused GLOBAL builtins.getattr on {obj!r}, {name!r}')


def _safe_globals() -> list:
    """Return the types in a training checkpoint besides tensors, for ``add_safe_globals``."""
    arrays = [(stand_in, name) for name, stand_in in ARRAY_GLOBALS.items()]
    return [HistoryBuffer, (_history_getattr, 'builtins.getattr'), *arrays]


def register_safe_globals() -> None:
    """Register the types in MMEngine's checkpoints, so that ``torch.load`` reads them safely.

    With torch below 2.6 this does nothing, because ``torch.load`` trusts every file there.
    :func:`.load_checkpoint_file` uses the list there too, but direct calls of torch do not.
    """
    if RESTRICTED:
        torch.serialization.add_safe_globals(_safe_globals())


class _CheckpointUnpickler(AllowListUnpickler):
    """The same allow-list for torch below 2.6, whose own reader refuses objects with a state."""

    buildable = (HistoryBuffer, OrderedDict, PlainArray, PlainDtype, torch.Tensor, nn.Parameter)

    def find_class(self, module: str, name: str) -> object:
        full_name = f'{module}.{name}'.replace('__builtin__.', 'builtins.')
        if full_name not in _known_globals():
            raise pickle.UnpicklingError(f'unsupported GLOBAL {full_name}')
        return _known_globals()[full_name]


class _AllowListPickle:
    """The functions of a ``pickle_module`` that ``torch.load`` needs."""

    Unpickler = _CheckpointUnpickler

    @staticmethod
    def load(file: BinaryIO, **kwargs: object) -> object:
        return _CheckpointUnpickler(file, **kwargs).load()


@functools.cache
def _known_globals() -> dict[str, object]:
    from torch._weights_only_unpickler import _get_allowed_globals  # only in 2.1 to 2.5

    items = [*_safe_globals(), (latin1, '_codecs.encode')]
    # protocol 4 names methods directly
    methods = [getattr(HistoryBuffer, name) for name in _HISTORY_METHODS]
    items += [(method, f'{method.__module__}.{method.__qualname__}') for method in methods]
    items += [Counter, bytearray, complex, set, torch.device]  # as torch 2.6 does
    named = (i if isinstance(i, tuple) else (i, f'{i.__module__}.{i.__name__}') for i in items)
    dtypes = (value for value in vars(torch).values() if isinstance(value, torch.dtype))
    return {
        **_get_allowed_globals(),
        **{name: item for item, name in named},
        **{str(dtype): dtype for dtype in dtypes},
    }


@functools.cache
def _warn_trusting() -> None:
    print_log(
        f'torch {torch.__version__} can be made to run code that a checkpoint file holds: load '
        'files from sources you trust only, or use torch >= 2.6.',
        logger='current',
        level=logging.WARNING,
    )


def torch_load(path: Path, map_location: MapLocation, protocol: int) -> object:
    """Load a file of ``torch.save`` that was checked before.

    Args:
        path: The file.
        map_location: As in ``torch.load``.
        protocol: The protocol of its pickle.
    """
    if not RESTRICTED:
        _warn_trusting()
    elif protocol <= TORCH_PROTOCOL:
        # Set explicitly: the environment's TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD changes the default.
        return torch.load(path, map_location=map_location, weights_only=True)
    # Our reader also knows the newer protocols of pickle.
    return torch.load(
        path, map_location=map_location, pickle_module=_AllowListPickle, weights_only=False
    )
