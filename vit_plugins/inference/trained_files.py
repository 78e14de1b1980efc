"""Which config and which checkpoint are meant by the name of a trained model."""

from __future__ import annotations

import os
from pathlib import Path

from ..weights.choosing import find_trained


def find_model(
    model: str | os.PathLike,
    config: str | os.PathLike | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> tuple[Path, Path]:
    """Find config and checkpoint of a trained model.

    Args:
        model: The work dir of a training, or a checkpoint file, which has its config beside it.
        config: The config, if it is known.
        checkpoint: Of a work dir the checkpoint, if it is known.

    Raises:
        FileNotFoundError: If there is no such folder or file, or the folder holds no config,
            several, or no whole checkpoint.
        ValueError: If two checkpoints are named.
    """
    where = Path(model).expanduser()
    config, checkpoint = (
        None if f is None else Path(f).expanduser() for f in (config, checkpoint)
    )
    for file in (config, checkpoint):
        if file is not None and not file.is_file():
            raise FileNotFoundError(f'there is no file {file}')
    if where.is_dir():
        return find_trained(where, config, checkpoint)
    if not where.is_file():
        raise FileNotFoundError(
            f'there is no {where}: give the work dir of a training run, or a checkpoint'
        )
    if checkpoint is not None:
        raise ValueError(f'{where} is a checkpoint already: leave {checkpoint} out')
    return find_trained(where.parent, config, where)
