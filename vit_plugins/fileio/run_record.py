"""What a training writes down about itself in its work dir."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD = 'run.json'


@dataclass(frozen=True)
class RunRecord:
    """What a run wrote down about itself in its work dir.

    Attributes:
        config: The name of its config, a file of the same folder.
        classes: The classes it is trained on, None if its dataset does not name them.
        finished: Whether it came to its end.
    """

    config: str
    classes: list[str] | None
    finished: bool = False


def read_record(folder: str | Path) -> RunRecord | None:
    """Read what the run in a folder wrote down.

    Args:
        folder: A work dir.

    Returns:
        The record; None if there is none that can be read, as in work dirs of the host's tools.
    """
    try:
        return RunRecord(**json.loads(Path(folder, RECORD).read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):
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
