"""Files that are either whole or absent, whenever the process dies."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

PARTIAL_SUFFIX = '.partial'


class AtomicLocalBackend(LocalBackend):
    """Local storage whose files appear under their name only once complete.

    The host's backend writes in place, so a run killed while it saves leaves a truncated
    checkpoint under the newest name. Here the bytes go to ``<name>.partial``, are forced to the
    disk, and take the name in one step. Chosen by ``backend_args=dict(backend='atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; readers see the old file or the new one, never a part.

        Args:
            obj: What to write.
            filepath: Where; missing folders are made.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + PARTIAL_SUFFIX)
        with partial.open('wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)


register_backend('atomic', AtomicLocalBackend)
