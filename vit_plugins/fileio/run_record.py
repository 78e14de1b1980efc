"""What a training writes down about itself in its work dir."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

RECORD = 'run.json'


@dataclass(frozen=True)
class RunRecord:
    """What a run wrote down about itself in its work dir.

    Attributes:
        config: The name of its config, a file of the same folder.
        classes: The classes it is trained on, None if its dataset does not name them.
        finished: Whether it came to its end.
        command: The line of a shell that started it; empty if it is not known.
        device: What it ran on, in words.
        versions: Of the packages that its numbers depend on, by name.
    """

    config: str
    classes: list[str] | None
    finished: bool = False
    command: str = ''
    device: str = ''
    versions: dict[str, str] = field(default_factory=dict)


def read_record(folder: str | Path) -> RunRecord | None:
    """Read what the run in a folder wrote down.

    Args:
        folder: A work dir.

    Returns:
        The record; None if there is none that can be read, as in work dirs of the host's tools.
    """
    known = {entry.name for entry in fields(RunRecord)}
    try:
        found = json.loads(Path(folder, RECORD).read_text(encoding='utf-8'))
        return RunRecord(**{name: value for name, value in found.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write_record(folder: str | Path, record: RunRecord) -> None:
    """Write a record, whole at any moment.

    Args:
        folder: A work dir.
        record: What to write.
    """
    part = Path(folder, f'{RECORD}.part')
    part.write_text(json.dumps(asdict(record), indent=1), encoding='utf-8')
    part.replace(Path(folder, RECORD))
