"""Files that are either whole or absent, whenever the process dies."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend

PARTIAL_SUFFIX = '.partial'
PARTIAL = re.compile(r'.+\.(?P<host>[\w-]+)\.(?P<process>\d+)\.[0-9a-f]{8}\.partial')
DAY = 24 * 3600
CAN_ASK = os.name == 'posix'  # whether a process runs; on Windows os.kill would end it
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FullDiskError(OSError):
    """A file could not be written for want of room; nothing of it is left."""


class AtomicLocalBackend(LocalBackend):
    """Local storage whose files appear under their name only once complete.

    The host's backend writes in place, so a run killed while it saves leaves a truncated
    checkpoint under the newest name. Here the bytes go to a temporary name that no other process
    has, are forced to the disk, and take the name in one step, which is forced to the disk, too.
    Chosen by ``backend_args=dict(backend='atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; readers see the old file or the new one, never a part.

        Args:
            obj: What to write.
            filepath: Where; missing folders are made.

        Raises:
            FullDiskError: If the disk is full: which file, how much it needs and how much is free.
            OSError: If it cannot be written for another reason.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, len(obj)) as file:
            file.write(obj)


@contextlib.contextmanager
def whole_file(path: Path, needed: int | None = None) -> Iterator[BinaryIO]:
    """Write a file that takes its name, and the place of what has it, once it is complete.

    A link of that name is replaced, too, and not followed.

    Args:
        path: Where, in a folder that there is.
        needed: Bytes, for the message; None if they are not known.

    Yields:
        The file to write to.

    Raises:
        FullDiskError: If the disk is full: which file, how much it needs and how much is free.
        OSError: If it cannot be written for another reason.
    """
    partial = path.with_name(path.name + partial_suffix())
    try:
        with partial.open('xb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise _full(error, path, needed) from error
        raise
    sync_folder(path.parent)


def partial_suffix() -> str:
    """Return an end for the name of an unfinished file, which no other process has."""
    host = re.sub(r'[^\w-]', '-', socket.gethostname())
    return f'.{host}.{os.getpid()}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}'


def abandoned_files(folder: str | Path, pattern: str) -> Iterator[Path]:
    """Yield the unfinished files that nobody will finish.

    Args:
        folder: Where they lie.
        pattern: Of the names that the finished ones have, as ``'*.pth'``.

    Yields:
        Those of processes of this machine that have ended; those of other machines, and of
        former versions, after a day.
    """
    for partial in Path(folder).glob(f'{pattern}*{PARTIAL_SUFFIX}'):
        match = PARTIAL.fullmatch(partial.name)
        host = re.sub(r'[^\w-]', '-', socket.gethostname())
        if match is not None and match['host'] == host and CAN_ASK:
            if not _runs(int(match['process'])):
                yield partial
            continue
        with contextlib.suppress(OSError):
            if time.time() - partial.lstat().st_mtime > DAY:
                yield partial


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal: only looks
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of somebody else
    return process != os.getpid()  # one of this number in another life: it writes nothing now


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can.

    Args:
        folder: The folder.
    """
    if not hasattr(os, 'O_DIRECTORY'):  # not a POSIX system
        return
    with contextlib.suppress(OSError):  # some network file systems refuse
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _full(error: OSError, path: Path, needed: int | None) -> FullDiskError:
    wanted = '' if needed is None else f'it needs {needed / 1e6:,.1f} MB, and '
    free = shutil.disk_usage(path.parent).free
    return FullDiskError(
        error.errno,
        f'{path} cannot be saved: {wanted}{free / 1e6:,.1f} MB are '
        f'free there ({os.strerror(error.errno)}). Nothing of it is left, and files saved before '
        'are whole. Make room, or keep fewer checkpoints, then go on with --resume',
    )


register_backend('atomic', AtomicLocalBackend)
