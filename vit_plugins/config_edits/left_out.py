"""Write which photos a run leaves out because they cannot be read."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from ..datasets.image_check import inspect_image
from ..fileio.unreadable_list import write_unreadable
from .walking import all_leaf_datasets


def write_left_out(cfg: Config, folder: str | Path) -> Path | None:
    """Write the photos that a config leaves out, each with the reason, to a table in a folder.

    Args:
        cfg: The config of a training; the names are in ``left_out`` of its datasets.
        folder: The folder for ``unreadable_photos.csv``.

    Returns:
        The file; None if no photo is left out.
    """
    leaves = all_leaf_datasets(cfg)
    files = {Path(leaf['data_root'], name) for leaf in leaves for name in leaf.get('left_out', ())}
    return write_unreadable(((str(file), _reason(file)) for file in sorted(files)), folder)


def _reason(file: Path) -> str:
    return inspect_image(file).problem or 'it could not be read before; now it can'
