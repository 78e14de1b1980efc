"""Read photo files from the disk; a reader never waits for a pipe or takes a device for a file."""

from __future__ import annotations

import os
import stat

# OpenCV takes no larger file; 160 million pixels of four channels of 16 bits need 1.3 GB.
MOST_BYTES = 2**31 - 1


class PhotoFileError(OSError):
    """A photo cannot be read from the disk; the message names the file and says why."""


def read_photo_file(path: str | os.PathLike) -> bytes:
    """Return the content of a photo file.

    The file is opened without waiting and then checked, so that a pipe that takes its place
    between a check and the reading is noticed, too.

    Args:
        path: The file.

    Raises:
        PhotoFileError: If it is absent or may not be read, is no regular file (such as a folder,
            a pipe or a device), or is larger than OpenCV can take.
    """
    try:
        with open(path, 'rb', opener=_open_without_waiting) as file:
            return file.read(_size_of_regular_file(file.fileno()))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from error


def read_middle(path: str | os.PathLike, count: int) -> tuple[int, bytes]:
    """Return the size of a photo file and some bytes of its middle, see ``read_photo_file``.

    Args:
        path: The file.
        count: How many bytes to read; a smaller file is read whole.

    Raises:
        PhotoFileError: As ``read_photo_file``.
    """
    try:
        with open(path, 'rb', buffering=0, opener=_open_without_waiting) as file:
            size = _size_of_regular_file(file.fileno())
            file.seek(max(0, size - count) // 2)
            return size, file.read(count)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def name_unreadable(name: str | os.PathLike, problem: str) -> str:
    """Return a problem of a photo with its name, once.

    Args:
        name: The file.
        problem: What is wrong with it, perhaps the text of a ``PhotoFileError``.
    """
    text = f'{os.fspath(name)} cannot be read'
    return problem if problem.startswith(text) else f'{text}: {problem}'


def _unreadable(path: str | os.PathLike, error: Exception) -> PhotoFileError:
    why = getattr(error, 'strerror', None) or str(error)
    return PhotoFileError(f'{os.fspath(path)} cannot be read: {why}')


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NONBLOCK', 0))


def _size_of_regular_file(number: int) -> int:
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        raise OSError('it is no file, but a folder, a pipe or a device')
    if found.st_size > MOST_BYTES:
        raise OSError(
            f'it has {found.st_size / 1e9:.1f} GB, more than the {MOST_BYTES / 1e9:.1f} GB that '
            'OpenCV can take'
        )
    return found.st_size
