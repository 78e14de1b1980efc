"""Keep photos that a training has seen out of its validation and test if its folder changes."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from ..datasets.folder_scan import FolderScan
from ..datasets.image_folder import ImageFolder
from ..datasets.photo_table import scan_photos
from ..datasets.trained_photos import find_seen, trained_photos_beside
from .walking import LOADERS, is_a, leaf_datasets


def leave_out_seen(cfg: Config, table: Path | None) -> None:
    """Set that no photo that was trained on is held out.

    Args:
        cfg: The config of the training, changed in place.
        table: The photos that the training has seen; with None nothing changes.
    """
    if table is None:
        return
    for loader in LOADERS:
        for leaf in _held_out(cfg, loader):
            leaf['trained_on'] = str(table)


def use_unseen_photos(cfg: Config, scan: FolderScan, table: str) -> str:
    """Set that a test uses all photos of a folder but those that the model was trained on.

    Args:
        cfg: The config, changed in place; its test dataset reads the folder.
        scan: The photos of the folder.
        table: The photos that the training has seen.

    Returns:
        A line for the log.
    """
    for leaf in leaf_datasets(cfg.test_dataloader.dataset):
        for key in ('part', 'val_fraction', 'seed'):
            leaf.pop(key, None)
        leaf['trained_on'] = table
    count = len(scan.samples)
    seen = len(find_seen(table, scan))
    others = f'; the model was trained on the other {seen}' if seen else ''
    return f'test on {count - seen} of the {count} images in {scan.root}{others}'


def keep_seen_in_training(cfg: Config) -> str:
    """Set that a resumed training holds out no photo that it was trained on before.

    The split follows the photos in the folder. If some were added or removed, it may hold out
    others than before.

    Args:
        cfg: The config, changed in place; ``load_from`` is the checkpoint to resume from.

    Returns:
        A line for the log; empty if nothing changes.
    """
    table = trained_photos_beside(cfg.load_from)
    leaves = _held_out(cfg, 'val_dataloader')
    if not leaves or table is None:
        return ''
    first = leaves[0]
    scan = _scan(first)
    split = first.get('val_fraction', 0.2), first.get('seed', 0), first.get('fold')
    held = scan.part('val', *split)
    moved = find_seen(table, scan).intersection(held)
    if not moved:
        return ''
    leave_out_seen(cfg, table)
    return (
        f'the photos of {scan.root} have changed: {len(moved)} of the {len(held)} that would now '
        'be held out were trained on before, so they stay in the training'
    )


def _held_out(cfg: Config, loader: str) -> list[dict]:
    """Return the datasets of a loader that share a folder with a held-out part."""
    dataset = (cfg.get(loader) or {}).get('dataset')
    leaves = leaf_datasets(dataset) if dataset else []
    return [
        leaf for leaf in leaves if is_a(leaf, ImageFolder) and leaf.get('part', 'all') != 'all'
    ]


def _scan(leaf: dict) -> FolderScan:
    tables = {key: leaf.get(key) for key in ('labels', 'group_by')}
    return scan_photos(Path(leaf['data_root']), **tables).without(leaf.get('left_out', ()))
