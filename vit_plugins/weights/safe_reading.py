"""Load checkpoint files completely, or with an error that says why not; no code in them is run."""

import pickle
import re
import shlex
import sys
import tarfile
from pathlib import Path

import torch
from mmengine.dist import barrier, get_rank
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader

from .archive import DamagedArchiveError, check_archive, require_same_for_torch
from .download import cached_download, download  # noqa: F401  (the first: still importable)
from .dry_run import check_archived_pickle, check_pickles, has_whole_pickles
from .expanded_size import require_bounded
from .plain_arrays import unwrap
from .torch_allow_list import TORCH_PROTOCOL, MapLocation, register_safe_globals, torch_load

_ZIP_MAGIC = b'PK\x03\x04'


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
        f'{path} ({size:,} bytes) is not a whole checkpoint: a copy, download or save was '
        'interrupted, the file changed on the disk, or it is a file of another type. Download it '
        f'again or use an earlier one. ({reason})'
    )


def _foreign(path: Path, reason: object) -> pickle.UnpicklingError:
    found = re.search(r'GLOBAL (\S+(?: on .*)?)', str(reason))
    if found is None:
        what = (str(reason).splitlines() or [''])[-1]
        return pickle.UnpicklingError(
            f'{path} is not as a training writes it: {what}. It is refused, because such a file '
            'was changed or made by hand; download it again from its source'
        )
    return pickle.UnpicklingError(
        f'{path} holds more than tensors and training state: {found[1]}. Reading such objects can '
        'run code of whoever made the file, so it is refused. If you trust its source, extract '
        'the tensors once:\n    python tools/convert_checkpoint.py '
        f'{shlex.quote(str(path))} OUT.pth'
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
        content = torch_load(path, map_location, checked_protocol(path))
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
        print_log(
            'The config in the checkpoint is left out, because it would be run', logger='current'
        )
    return content


def register() -> None:
    """Register these loaders for MMEngine: resume, test, ``load_from`` and ``Pretrained``."""
    register_safe_globals()
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_from_http, force=True
    )
