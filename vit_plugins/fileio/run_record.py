"""Write and load the record of a training in its work dir."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

RECORD = 'run.json'
LOCK = 'run.lock'  # held while the run trains


@dataclass(frozen=True)
class RunRecord:
    """The record of a run in its work dir.

    Attributes:
        config: The name of its config, a file in the same folder.
        classes: The classes that it is trained on; None if its dataset does not name them.
        finished: Whether the run has ended.
        command: The shell command that started it; empty if it is not known.
        device: The device that it ran on, in words.
        versions: The versions of the packages that its numbers depend on, by name.
    """

    config: str
    classes: list[str] | None
    finished: bool = False
    command: str = ''
    device: str = ''
    versions: dict[str, str] = field(default_factory=dict)


def read_record(folder: str | Path) -> RunRecord | None:
    """Load the record of the run in a folder.

    Args:
        folder: A work dir.

    Returns:
        The record; None if there is none that can be read, such as in work dirs of the host's
        tools.
    """
    known = {entry.name for entry in fields(RunRecord)}
    try:
        found = json.loads(Path(folder, RECORD).read_text(encoding='utf-8'))
        return RunRecord(**{name: value for name, value in found.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write_record(folder: str | Path, record: RunRecord) -> None:
    """Write a record; the file is complete at any moment.

    Args:
        folder: A work dir.
        record: The record to write.
    """
    part = Path(folder, f'{RECORD}.part')
    part.write_text(json.dumps(asdict(record), indent=1), encoding='utf-8')
    part.replace(Path(folder, RECORD))
