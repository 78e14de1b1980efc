"""What a gallery remembers of a photo and of the model that computed its descriptors."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Photo:
    """An indexed image file, as it was when it was indexed.

    Attributes:
        path: Its path.
        size: Its size in bytes.
        mtime_ns: Time of the last change.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike) -> Photo:
        """Read size and time of a file.

        Args:
            path: The file.
        """
        stat = os.stat(path)
        return cls(os.path.abspath(path), stat.st_size, stat.st_mtime_ns)

    @classmethod
    def read(cls, row: Any) -> Photo:
        """Read the entry of a photo in ``gallery.json``.

        Args:
            row: Path, size and time.

        Raises:
            ValueError: If the entry is not of this form.
        """
        match row:
            case [str() as path, int() as size, int() as time] if '\0' not in path:
                return cls(path, size, time)
        raise ValueError(f'{row!r:.200} is no photo')

    def state(self) -> str:
        """Return whether the file is ``'same'``, ``'changed'`` or ``'gone'`` since indexing."""
        try:
            return 'same' if Photo.of(self.path) == self else 'changed'
        except OSError:
            return 'gone'


@dataclass(frozen=True)
class Source:
    """The model that computed the descriptors of a gallery; two models cannot be compared.

    Attributes:
        checkpoint: The file.
        sha256: The digest of that file.
    """

    checkpoint: str
    sha256: str

    @classmethod
    def of(cls, checkpoint: str | os.PathLike) -> Source:
        """Compute the digest of a checkpoint.

        Args:
            checkpoint: The file.
        """
        digest = hashlib.sha256()
        with open(checkpoint, 'rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return cls(os.path.abspath(checkpoint), digest.hexdigest())
