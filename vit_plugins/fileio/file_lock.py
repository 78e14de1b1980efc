"""Lock files, as far as the system supports it."""

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
    """Lock an open file; if the system has no locks, go on without one.

    It is a lock of the operating system and ends when the file is closed. The end of the process
    closes the file in any case.

    Args:
        file: The file descriptor, open for reading and writing.
        name: The name of the file in messages.
        wait: Whether to wait for a process that holds the lock.
        shared: Whether other processes may hold the lock as well, if they share it.
        inherited: Whether child processes that inherit the file keep it locked. If not, two locks
            within one process do not exclude each other.
        advice: The text to log if the system or the file system has no locks; None logs nothing.

    Returns:
        False if another process holds the lock; True otherwise, also if there are no locks.
    """
    if fcntl is None:
        return _go_on(name, 'this system has no locks', advice)
    flags = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    lock = fcntl.flock if inherited else fcntl.lockf
    try:
        lock(file, flags if wait else flags | fcntl.LOCK_NB)
    except OSError as error:
        # Which of the two errors means that the lock is taken depends on the system.
        if not wait and isinstance(error, BlockingIOError | PermissionError):
            return False
        return _go_on(name, error.strerror, advice)
    return True


def _go_on(name: str, reason: str, advice: str | None) -> bool:
    if advice is not None:
        print_log(f'{name} cannot be locked ({reason}): {advice}', 'current')
    return True
