"""Read what a training left in its work dir; nothing is computed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ..config_edits.reading import read_config_file
from ..fileio.run_record import RunRecord, read_record
from ..inference.trained_files import find_model
from .curves import Curves, read_curves
from .outcome import Outcome, read_outcome


@dataclass(frozen=True)
class TrainedRun:
    """A training, as read from its work dir.

    Attributes:
        folder: The work dir.
        cfg: Its config.
        checkpoint: The weights to use: the best by validation, or else the newest.
        record: The record that it wrote about itself; None in work dirs of the host's tools.
        curves: The values that it logged.
        outcome: The outcome that it wrote at its end; None if it did not reach its end.
    """

    folder: Path
    cfg: Config
    checkpoint: Path
    record: RunRecord | None
    curves: Curves
    outcome: Outcome | None

    @property
    def name(self) -> str:
        """The name of the work dir."""
        return self.folder.resolve().name

    @property
    def command(self) -> str:
        """The shell command that started it, or one that trains its config again."""
        if self.record is not None and self.record.command:
            return self.record.command
        return f'vit-plugins train {shlex.quote(str(self.cfg.filename))} --work-dir NEW_FOLDER'


def read_run(
    work_dir: str | Path, config: str | Path | None = None, checkpoint: str | Path | None = None
) -> TrainedRun:
    """Read a work dir.

    Args:
        work_dir: The folder of a training.
        config: The config, if the user names it.
        checkpoint: The checkpoint, if the user names it.

    Raises:
        FileNotFoundError: If it has no config, several configs, or no complete checkpoint.
    """
    config, checkpoint = find_model(work_dir, config, checkpoint)
    cfg = read_config_file(config)
    by_epoch = (cfg.get('train_cfg') or {}).get('by_epoch', True)
    return TrainedRun(
        folder=Path(work_dir),
        cfg=cfg,
        checkpoint=checkpoint,
        record=read_record(work_dir),
        curves=read_curves(work_dir, 'epoch' if by_epoch else 'step'),
        outcome=read_outcome(work_dir),
    )
