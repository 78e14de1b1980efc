"""Set a folder in a retrieval config, which is tested on classes that training does not see."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmpretrain.registry import DATASETS

from ..datasets.folder_parts import find_unlabelled
from ..datasets.folder_scan import FolderError
from ..datasets.image_check import require_readable
from ..datasets.retrieval_folder import RetrievalFolder
from ..datasets.rotated_digits import RotatedDigits
from ..fileio.printable_text import log_line
from .folder_reading import on_all_ranks, photo_limits
from .photos import accept_photos
from .presence import is_placed
from .walking import all_leaf_datasets, is_a


def is_retrieval(cfg: Config) -> bool:
    """Return whether a config is tested on classes that training does not see.

    This holds for datasets with their own layout, unless they set ``IS_CLASSIFICATION``.

    Args:
        cfg: The config.
    """
    leaves = all_leaf_datasets(cfg)
    placed = [leaf for leaf in leaves if is_placed(leaf) and not _is_classification(leaf)]
    return bool(placed) or any(is_a(leaf, RotatedDigits) for leaf in leaves)


def _is_classification(leaf: dict) -> bool:
    kind = leaf['type']
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    return getattr(cls, 'IS_CLASSIFICATION', False)


def use_retrieval_data(
    cfg: Config,
    root: Path,
    verify: bool,
    data: str | None = None,
    *,
    skip_unreadable: bool = False,
) -> Config:
    """Set the folder from which a retrieval config reads its images.

    Args:
        cfg: The config, changed in place.
        root: The folder.
        verify: Whether to read every image once (images that were read before are skipped).
        data: The dataset that the user chose by ``--data`` and that the config has now.
        skip_unreadable: Whether to leave out files that cannot be read; not for published
            datasets.

    Returns:
        The same config.

    Raises:
        FolderError: On every rank, if folders, classes or images are not valid.
        ValueError: If ``data`` is not read from a folder.
    """
    leaves = all_leaf_datasets(cfg)
    if data is not None and any(is_a(leaf, RotatedDigits) for leaf in leaves):
        raise ValueError(
            f'--data {data} comes with scikit-learn and is read from no folder, and --data-root '
            f'names {root}. Leave out --data-root, or leave out --data to train on that folder'
        )
    for leaf in leaves:
        if is_a(leaf, RotatedDigits):
            leaf['type'] = 'RetrievalFolder'
        leaf['data_root'] = str(root)
    own = [leaf for leaf in leaves if is_a(leaf, RetrievalFolder)]
    if own:  # published datasets keep the pipelines of their recipes
        accept_photos(cfg)
    elif skip_unreadable:
        raise ValueError(
            '--skip-unreadable would have no effect: the recipe is one for a published dataset, '
            'whose images are not read before'
        )
    left_out = [on_all_ranks(lambda: _unreadable(cfg, root, own, verify, skip_unreadable))]
    broadcast_object_list(left_out)  # the first rank has read the images
    for leaf in own if left_out[0] else ():
        leaf['left_out'] = left_out[0]
        DATASETS.build({**leaf, 'pipeline': []})  # raises an error if a class has no image left
    if is_main_process():
        for line in _describe_retrieval(root) if own else ():
            log_line(line)
        log_line(f'retrieval data are taken from {root}')
    return cfg


def _unreadable(
    cfg: Config, root: Path, own: Sequence[dict], verify: bool, skip: bool
) -> list[str]:
    """Return the images of a folder that cannot be read, as paths below it, and log them."""
    if skip and not verify:
        raise FolderError('--skip-unreadable opens all images: leave --no-verify out')
    files = set()
    for leaf in own:
        dataset = DATASETS.build({**leaf, 'pipeline': []})
        files |= {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}
    if not (verify and is_main_process()):
        return []
    names = [os.path.relpath(file, root) for file in sorted(files)]
    return require_readable(root, names, skip=skip, limits=photo_limits(cfg))


def _describe_retrieval(root: Path) -> Iterator[str]:
    for part, folder in find_unlabelled(root).items():
        yield (
            f'{folder} holds no class folders, so its images have no labels: classes for {part} '
            'are taken from train'
        )
