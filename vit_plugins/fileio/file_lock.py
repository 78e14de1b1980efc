"""Locks on files, as far as the system has them."""

from __future__ import annotations

from mmengine.logging import print_log

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None


def acquire(
    file: int,
    name: str,
    *,
    wait: bool = False,
    shared: bool = False,
    inherited: bool = False,
    advice: str | None = None,
) -> bool:
    """Lock an open file, and go on without a lock where there is none to be had.

    The lock is the operating system's and ends when the file is closed, which the end of the
    process does however it comes.

    Args:
        file: The file's number, open for reading and writing.
        name: What a message calls it.
        wait: Whether to wait for a process that holds it.
        shared: Whether others may hold it too, if they share it.
        inherited: Whether child processes that the file is passed on to keep it locked. If not,
            two locks within one process do not notice each other.
        advice: What to log where the system or the file system has no locks; None logs nothing.

    Returns:
        False if another process holds the lock; True otherwise, also where there are no locks.
    """
    if fcntl is None:
        return _go_on(name, 'this system has no locks', advice)
    flags = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    lock = fcntl.flock if inherited else fcntl.lockf
    try:
        lock(file, flags if wait else flags | fcntl.LOCK_NB)
    except OSError as error:
        # Systems differ in which of the two says that the lock is taken.
        if not wait and isinstance(error, BlockingIOError | PermissionError):
            return False
        return _go_on(name, error.strerror, advice)
    return True


def _go_on(name: str, reason: str, advice: str | None) -> bool:
    if advice is not None:
        print_log(f'{name} cannot be locked ({reason}): {advice}', 'current')
    return True
