"""Find the config and the checkpoint that the name of a trained model stands for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mmpretrain import ModelHub, list_models

from ..weights.download import download
from ..weights.index import resolve_weights
from ..weights.newest_checkpoint import find_trained


def find_model(
    model: str | os.PathLike,
    config: str | os.PathLike | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> tuple[Path, Path]:
    """Find config and checkpoint of a trained model.

    Args:
        model: The work dir of a training; a checkpoint file, which has its config beside it; or
            the name of a model of the index with published weights, which are fetched once.
        config: The config, if the user names it.
        checkpoint: The checkpoint of a work dir, if the user names it.

    Raises:
        ConnectionError: If published weights cannot be fetched.
        FileNotFoundError: If there is no such folder or file, or if the folder has no config,
            several configs, or no complete checkpoint.
        ValueError: If two checkpoints are named, or a model has no published weights.
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
    if not where.exists() and str(model) in list_models():
        return _find_published(str(model), config, checkpoint)
    if not where.is_file():
        raise FileNotFoundError(
            f'there is no {where}: give the work dir of a training run, a checkpoint, or the '
            'name of a model with published weights (`vit-plugins list`)'
        )
    if checkpoint is not None:
        raise ValueError(f'{where} is a checkpoint already: leave {checkpoint} out')
    return find_trained(where.parent, config, where)


def _find_published(name: str, config: Path | None, checkpoint: Path | None) -> tuple[Path, Path]:
    address = resolve_weights(name) if checkpoint is None else None
    return (
        config or Path(ModelHub.get(name).config.filename),
        checkpoint or download(address, progress=sys.stderr.isatty()),
    )
