"""Read a folder of class folders before a run, and refuse one that cannot be trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.dist import is_distributed, is_main_process

from ..datasets._folder_tree import known_trees, remember_trees
from ..datasets.folder_parts import find_parts
from ..datasets.folder_scan import (
    FolderError,
    FolderScan,
    compare_classes,
    log_skipped,
    scan_class_folders,
)
from ..datasets.image_check import require_readable
from ..datasets.photo_limits import LIMITS, PhotoLimits
from ..datasets.photo_table import scan_photos
from .walking import all_leaf_datasets, components, leaf_datasets, type_name

T = TypeVar('T')


def read_folder(
    root: Path,
    cfg: Config,
    *,
    verify: bool,
    classes: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    labels: str | None = None,
    group_by: str | None = None,
) -> dict[str, FolderScan]:
    """Read the folder and check that it can be trained on.

    Args:
        root: The folder.
        cfg: The config, for the message.
        verify: Whether to read every image (done by the first rank only).
        classes: The classes of a trained model.
        skip_unreadable: Whether to skip files that cannot be read (on the first rank).
        labels: A table of classes instead of class folders.
        group_by: How photos are grouped, so that a group is not split, see ``find_groups``.

    Returns:
        The content of each part: 'train', and 'val' and 'test' if there are such folders.

    Raises:
        FolderError: If something does not fit.
    """
    if skip_unreadable and not verify:
        raise FolderError('--skip-unreadable opens all images: leave --no-verify out')
    try:
        parts = find_parts(root) if labels is None else {'train': root}
        if group_by is not None and 'val' in parts:
            raise FolderError(
                f'--group-by would have no effect: {parts["val"]} is the validation part. Put its '
                'images beside the others, or leave --group-by out'
            )
        train = scan_photos(
            parts.pop('train'), complete=classes is None, labels=labels, group_by=group_by
        )
        scans = {'train': train}
        for part, folder in parts.items():
            scan = scan_class_folders(folder, complete=False)
            if not _holds_one_foreign_folder(scan, train):
                scans[part] = scan
    except FolderError as error:
        if labels is not None or group_by is not None:
            raise
        name = type_name(leaf_datasets(cfg.train_dataloader.dataset)[0])
        told = '' if name == 'ImageFolder' else f'\n(nor are the files of {name} there)'
        raise FolderError(f'{error}{told}') from None
    for part, scan in scans.items():
        log_skipped(scan)
        compare_classes(train.classes, scan.classes, f'{part} ({scan.root})', complete=False)
    if classes is not None:
        compare_classes(classes, train.classes, str(root), complete=False)
    if verify and is_main_process():
        limits = photo_limits(cfg)
        return {part: _readable(scan, skip_unreadable, limits) for part, scan in scans.items()}
    return scans


def photo_limits(cfg: Config) -> PhotoLimits:
    """Return the size limits of the photos: those of the first ``LoadPhoto`` in the config.

    Args:
        cfg: The config.
    """
    for node in components(all_leaf_datasets(cfg), 'LoadPhoto'):
        return PhotoLimits(**{k: node[k] for k in ('max_pixels', 'max_aspect') if k in node})
    return LIMITS


def _readable(scan: FolderScan, skip: bool, limits: PhotoLimits) -> FolderScan:
    names = [path for path, _ in scan.samples]
    return scan.without(require_readable(scan.root, names, skip=skip, limits=limits))


def _holds_one_foreign_folder(scan: FolderScan, train: FolderScan) -> bool:
    """Return whether a part has no labels, such as ``test/images/*.jpg``."""
    return len(scan.classes) == 1 and scan.classes[0] not in train.classes


def on_all_ranks(read: Callable[[], T]) -> T:
    """Read folders on every rank; if one rank fails, fail on every rank.

    The first rank lists the files. The others use its list if they see the same folders, for
    example on a network disk, and make their own list if they have another disk.

    Args:
        read: The function that reads the folders.

    Raises:
        FolderError: The error of the first rank that failed.
    """
    if not is_distributed():
        return read()
    # gloo waits until the images are read; NCCL would give up
    group = torch_dist.new_group(backend='gloo', timeout=timedelta(days=1))
    found, message, trees = None, None, [{}]
    if is_main_process():
        found, message = _attempt(read)
        trees = [known_trees()]
    torch_dist.broadcast_object_list(trees, group=group)
    if not is_main_process():
        remember_trees(trees[0])
        found, message = _attempt(read)
    messages = [None] * torch_dist.get_world_size()
    torch_dist.all_gather_object(messages, message, group=group)
    # The group stays until the ranks end: see end_ranks in engine/ranks.py.
    if message := next((m for m in messages if m), None):
        raise FolderError(message)
    return found


def _attempt(read: Callable[[], T]) -> tuple[T | None, str | None]:
    try:
        return read(), None
    except FolderError as error:
        return None, str(error)
