"""Load checkpoint files by an allow-list, completely or with an error that says why not.

Since torch 2.6 ``torch.load`` refuses everything that is not on its allow-list. This includes
MMEngine 0.10's own training checkpoints: they hold ``HistoryBuffer`` objects, whose state names
some of their methods through ``builtins.getattr``. If ``getattr`` itself were allowed, a crafted
file could get any attribute of any allowed object. So here it is replaced by a function that
knows four names.
"""

import functools
import hashlib
import logging
import pickle
import re
import sys
import tarfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import digit_version
from torch import nn

from .allow_list_unpickler import AllowListUnpickler, RefusedError
from .archive import DamagedArchiveError, check_archive, require_same_for_torch
from .dry_run import check_archived_pickle, check_pickles, has_whole_pickles
from .expanded_size import require_bounded
from .index import published_digests
from .plain_arrays import ARRAY_GLOBALS, PlainArray, PlainDtype, latin1, unwrap

MapLocation = str | torch.device | dict | Callable | None

# Since 2.6 `add_safe_globals` accepts the (object, name in the file) pairs needed below.
RESTRICTED = digit_version(torch.__version__.split('+')[0]) >= digit_version('2.6.0')
_HISTORY_METHODS = ('min', 'max', 'mean', 'current')
_ZIP_MAGIC = b'PK\x03\x04'
TORCH_PROTOCOL = 2  # of the pickles that torch.load reads by its own allow-list
# Names that do not identify the model: two such downloads must not share a file in the cache.
_NAMELESS_FILES = ('model.safetensors', 'pytorch_model.bin')


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
    :func:`load_checkpoint_file` uses the list there too, but direct calls of torch do not.
    """
    if RESTRICTED:
        torch.serialization.add_safe_globals(_safe_globals())


class DamagedCheckpointError(RuntimeError):
    """A checkpoint is truncated or has changed since it was saved, or is another type of file.

    Its message names the file.
    """


def is_whole_checkpoint(path: str | Path) -> bool:
    """Return whether a file is a complete checkpoint whose bytes are those that were saved.

    The records of the archive are compared with their checksums: 0.1 s for 100 MB.

    Args:
        path: A file in the format of ``torch.save`` since torch 1.6.

    Returns:
        False for a missing, empty, truncated, changed or foreign file.
    """
    try:
        check_archive(Path(path))
    except (OSError, DamagedArchiveError):
        return False
    return True


def _damaged(path: Path, reason: object) -> DamagedCheckpointError:
    size = path.stat().st_size
    return DamagedCheckpointError(
        f'{path} ({size:,} bytes) is not a whole checkpoint: a copy, download or save that was '
        'cut short or changed on the disk, or a file of another kind. Fetch it again or use an '
        f'earlier one. ({reason})'
    )


def _foreign(path: Path, reason: object) -> pickle.UnpicklingError:
    found = re.search(r'GLOBAL (\S+(?: on .*)?)', str(reason))
    if found is None:
        what = (str(reason).splitlines() or [''])[-1]
        return pickle.UnpicklingError(
            f'{path} is not as a training writes it: {what}. It is refused, since a file that '
            'does so was changed or made by hand; fetch it again from its source'
        )
    return pickle.UnpicklingError(
        f'{path} holds more than tensors and training state: {found[1]}. Reading such objects can '
        'run code of whoever made the file, so it is refused. If you trust its source, take the '
        f'tensors out of it once:\n    python tools/convert_checkpoint.py {path} OUT.pth'
    )


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


def _torch_load(path: Path, map_location: MapLocation, protocol: int) -> object:
    if not RESTRICTED:
        _warn_trusting()
    elif protocol <= TORCH_PROTOCOL:
        # Set explicitly: the environment's TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD changes the default.
        return torch.load(path, map_location=map_location, weights_only=True)
    # Our reader also knows the newer protocols of pickle.
    return torch.load(
        path, map_location=map_location, pickle_module=_AllowListPickle, weights_only=False
    )


def _is_tar(path: Path) -> bool:
    """Return whether torch would read a file in its oldest format, which it tries first."""
    try:
        with tarfile.open(path, 'r:'):
            return True
    except tarfile.TarError:
        return False


def checked_protocol(path: Path) -> int:
    """Check that a checkpoint asks for no more than it holds, and return its pickle protocol.

    Args:
        path: The file.

    Raises:
        DamagedCheckpointError: If it is truncated, changed or another type of file.
        RefusedError: If it asks for more.
        Exception: Any error, if its pickle is not one of torch.
    """
    with path.open('rb') as file:
        is_archive = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    if not is_archive:
        if not has_whole_pickles(path):
            raise _damaged(path, 'no archive, no whole pickle')
        if _is_tar(path):
            raise _damaged(path, 'a tar archive, whose first name is made of pickles')
        check_pickles(path)
        return TORCH_PROTOCOL
    try:
        records = check_archive(path)
        require_same_for_torch(path)
    except DamagedArchiveError as error:
        raise _damaged(path, error) from error
    return check_archived_pickle(path, records)


def _load_pickled(path: Path, map_location: MapLocation) -> object:
    try:
        content = _torch_load(path, map_location, checked_protocol(path))
        require_bounded(content, path.stat().st_size)
        return unwrap(content)
    except (DamagedCheckpointError, OSError):
        raise
    except pickle.UnpicklingError as error:
        raise _foreign(path, error) from error
    except RecursionError as error:
        raise _foreign(path, 'it is nested too deeply') from error
    except RuntimeError as error:
        if 'EOF' in str(error):
            raise _damaged(path, error) from error
        raise  # for example a device that this machine lacks
    except Exception as error:  # a crafted file makes torch, numpy and pickle raise any error
        raise _foreign(path, f'{type(error).__name__}: {error}') from error


def _load_safetensors(path: Path, map_location: MapLocation) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f'{path} needs one more package: pip install safetensors') from error
    # A function or a dict maps devices that the file names; this format names none.
    device = str(map_location) if isinstance(map_location, str | torch.device) else 'cpu'
    try:
        return load_file(path, device=device)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def load_checkpoint_file(path: str | Path, map_location: MapLocation = None) -> object:
    """Load a local ``.pth``, ``.safetensors`` or ``.npz`` file.

    Args:
        path: The file; ``~`` is expanded.
        map_location: As in ``torch.load``. For safetensors files it must be a device; an ``.npz``
            file (google-research/vision_transformer) stays on the CPU.

    Returns:
        The content of the file: a state dict, a dict around one, or a whole training checkpoint;
        for an ``.npz`` file, a state dict with timm's names.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If the file is truncated or is not a checkpoint.
        pickle.UnpicklingError: If the file holds objects that are not on the allow-list; the
            message has the command that converts it.
        ImportError: If it is a safetensors file and the safetensors package is missing.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{path} can not be found.')
    if path.suffix == '.safetensors':
        return _load_safetensors(path, map_location)
    if path.suffix == '.npz':
        from .names.google import load_google

        return load_google(path)
    return _load_pickled(path, map_location)


def cached_download(url: str, model_dir: str | None = None) -> Path:
    """Return the path of a downloaded checkpoint: in torch's own cache, under the file's name.

    Args:
        url: The address of the file.
        model_dir: Another folder than ``$TORCH_HOME/hub/checkpoints``.
    """
    name = Path(urlparse(url).path).name
    if name in _NAMELESS_FILES:
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}'
    return Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / name


def download(url: str, model_dir: str | None = None, progress: bool = False) -> Path:
    """Download a file unless the cache has it, and compare it with its SHA-256 if that is known.

    Args:
        url: The address of the file.
        model_dir: Another folder than ``$TORCH_HOME/hub/checkpoints``.
        progress: Whether to show a progress bar.

    Raises:
        ConnectionError: If the file cannot be downloaded; the message says where to put it by
            hand.
        RuntimeError: If the file is not the published one.
    """
    path = cached_download(url, model_dir)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'Downloading {url} to {path}', logger='current')
        try:
            torch.hub.download_url_to_file(url, str(path), progress=progress)
        except OSError as error:
            raise ConnectionError(
                f'{url} cannot be fetched ({error}). Fetch it on another machine and save it as '
                f'{path}'
            ) from error
        if published_digests().get(url, '') is None:
            print_log(
                f'The model index has no SHA-256 of {url}, so {path} is not verified.',
                logger='current',
                level=logging.WARNING,
            )
    expected = published_digests().get(url)
    if expected:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(
                f'{path} is not the file published at {url}: its SHA-256 is {found}, not '
                f'{expected}. Delete it and try again.'
            )
    return path


# The host logs a loader's name from its eleventh letter: `load_from_` is part of the interface.
def load_from_local(filename: str, map_location: MapLocation = None) -> object:
    """Load a local file, for ``CheckpointLoader``.

    Args:
        filename: The file.
        map_location: As in ``torch.load``.
    """
    return _without_code(load_checkpoint_file(filename, map_location))


def load_from_http(
    filename: str,
    map_location: MapLocation = None,
    model_dir: str | None = None,
    progress: bool | None = None,
) -> object:
    """Load an address, for ``CheckpointLoader``; the host's own loader trusts what it downloads.

    Args:
        filename: The address.
        map_location: As in ``torch.load``.
        model_dir: Another folder than ``$TORCH_HOME/hub/checkpoints``.
        progress: Whether to show a progress bar; by default only on a terminal.
    """
    progress = sys.stderr.isatty() if progress is None else progress
    if get_rank() == 0:
        download(filename, model_dir, progress)
    barrier()
    return _without_code(
        load_checkpoint_file(download(filename, model_dir, progress), map_location)
    )


def _without_code(content: object) -> object:
    """Remove the text that the host's runner would execute as a config on resuming."""
    meta = content.get('meta') if isinstance(content, dict) else None
    if isinstance(meta, dict) and meta.pop('config', None) is not None:
        print_log('The config in the checkpoint is left out: it would be run', logger='current')
    return content


def register() -> None:
    """Register these loaders for MMEngine: resume, test, ``load_from`` and ``Pretrained``."""
    register_safe_globals()
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_from_http, force=True
    )
