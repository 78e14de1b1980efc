"""Find how a training read a folder of photos, so that a test holds out the same photos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .walking import leaf_datasets


def reading_of_training(cfg: Config, root: str | Path) -> dict[str, Any]:
    """Return the table, groups and skipped files with which a training read a folder.

    The table and the groups decide which photos are held out. Without them a test of that folder
    would use photos on which the model was trained.

    Args:
        cfg: The config of the training.
        root: The folder.

    Returns:
        ``labels``, ``group_by`` and ``skip_unreadable`` of ``read_folder``; empty if the training
        read another folder.
    """
    for leaf in leaf_datasets(cfg.train_dataloader.dataset) if cfg.get('train_dataloader') else ():
        if is_same(leaf.get('data_root'), root):
            return {
                'labels': leaf.get('labels'),
                'group_by': leaf.get('group_by'),
                'skip_unreadable': bool(leaf.get('left_out')),
            }
    return {}


def is_same(known: str | None, named: str | Path) -> bool:
    """Return whether two names are of the same existing file or folder.

    Args:
        known: The first name, or None.
        named: The second name; ``~`` is the home folder.
    """
    named = os.path.expanduser(named)
    there = known is not None and os.path.exists(known) and os.path.exists(named)
    return there and os.path.samefile(known, named)
