"""Write files that are either complete or absent, whenever the process dies."""

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
CAN_ASK = os.name == 'posix'  # whether os.kill can test for a process; Windows ends it
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FullDiskError(OSError):
    """A file could not be written because the disk is full; nothing of it is left."""


class AtomicLocalBackend(LocalBackend):
    """Local storage whose files appear under their name only when they are complete.

    The host's backend writes in place, so a run that is killed while it saves leaves a truncated
    checkpoint under the newest name. Here the bytes are written under a temporary name that no
    other process uses and are forced to the disk. Then the file is renamed in one step, which is
    forced to the disk, too. Set ``backend_args=dict(backend='atomic')`` to use it.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; readers see the old file or the new one, never an incomplete one.

        Args:
            obj: The bytes to write.
            filepath: The file; missing folders are made.

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
    """Write a file that gets its name, and replaces an old file, only when it is complete.

    A link of that name is replaced, too, and not followed.

    Args:
        path: The file, in an existing folder.
        needed: The size in bytes, for the message; None if it is not known.

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
    """Return a suffix for an unfinished file that no other process uses."""
    host = re.sub(r'[^\w-]', '-', socket.gethostname())
    return f'.{host}.{os.getpid()}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}'


def abandoned_files(folder: str | Path, pattern: str) -> Iterator[Path]:
    """Yield the unfinished files that no process will finish.

    Args:
        folder: The folder of these files.
        pattern: The pattern of the finished names, such as ``'*.pth'``.

    Yields:
        Files of ended processes on this machine; files of other machines, and of earlier
        versions of this package, after a day.
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
        os.kill(process, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # it belongs to another user
    return process != os.getpid()  # an earlier process had the same number


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, if the system can.

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
