"""Find and kill all processes that a process started, in any process group."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started.

    Args:
        pid: The number of a process that still runs; orphans cannot be found.

    Returns:
        The process numbers; none on a system without /proc.
    """
    children: dict[int, list[int]] = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            # the name, in brackets, may contain anything
            parent = int(stat.read_text().rsplit(')', 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found += new
    return found


def kill_descendants() -> None:
    """Kill all processes that this process started."""
    for each in descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """Kill a process and all that it started, also those that left its group.

    ``torch.distributed.run`` gives each rank its own session, so a rank outlives a kill of the
    launcher's group.

    Args:
        pid: The process.
    """
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
