"""Find out whether a folder holds the dataset that a config names, such as CIFAR archives."""

from __future__ import annotations

import re
from copy import deepcopy
from inspect import signature
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmpretrain.datasets import CustomDataset, ImageNet, ImageNet21k
from mmpretrain.registry import DATASETS

from ..datasets.digits import Digits
from ..fileio.printable_text import log_line
from .presence import require_data
from .walking import LOADERS, leaf_datasets

WORDNET_ID = re.compile(r'n\d{8}')


def own_data_root(cfg: Config, root: Path) -> Path | None:
    """Return the folder of the config's own dataset, None if the user's folder does not hold it.

    Args:
        cfg: The config.
        root: The folder that the user named.

    Returns:
        The ``data_root`` to set: the folder, or its parent if the archive's folder was named.
    """
    leaf = leaf_datasets(cfg.train_dataloader.dataset)[0]
    cls = _class_of(leaf)
    if issubclass(cls, ImageNet | ImageNet21k):
        train = root / 'train'
        ids = train.is_dir() and len([d for d in train.iterdir() if WORDNET_ID.match(d.name)])
        known = (root / 'meta' / 'train.txt').is_file()
        return root if known or ids == len(cls.METAINFO.get('classes', ())) else None
    if issubclass(cls, CustomDataset | Digits):
        return None  # any class folders fit, or none are needed
    if root.name == getattr(cls, 'base_folder', None):
        root = root.parent
    if hasattr(cls, 'tgz_md5') and (root / cls.filename).is_file():
        return root
    return root if _can_read(leaf, cls, root) else None


def reads_class_folders(leaf: dict) -> bool:
    """Return whether a dataset can read any class folders, such as ``ImageFolder``.

    Args:
        leaf: The config of a dataset that wraps no other.
    """
    cls = _class_of(leaf)
    return issubclass(cls, CustomDataset) and not issubclass(cls, ImageNet | ImageNet21k)


def _class_of(leaf: dict) -> type:
    kind = leaf['type']
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise ValueError(
            f'no dataset is registered under the name {kind!r}: check the spelling, or name its '
            'module in custom_imports'
        )
    return cls


def use_own_data(cfg: Config, root: Path) -> Config:
    """Set the folder from which a config reads its own dataset.

    Args:
        cfg: The config, changed in place.
        root: The folder that :func:`own_data_root` returned.

    Returns:
        The same config.
    """
    for loader in LOADERS:
        for leaf in leaf_datasets(cfg[loader].dataset):
            leaf['data_root'] = str(root)
    require_data(cfg)
    if is_main_process():
        log_line(f"{root} holds the config's own dataset")
    return cfg


def _can_read(leaf: dict, cls: type, root: Path) -> bool:
    trial = {
        **deepcopy(leaf),
        **{'data_root': str(root), 'pipeline': [], 'lazy_init': True, 'serialize_data': False},
    }
    if 'download' in signature(cls).parameters:
        trial['download'] = False
    try:
        dataset = DATASETS.build(trial)
        # datasets that download have a barrier in loading, which a failing rank never reaches
        for check in ('_check_integrity', '_check_exists'):  # CIFAR, MNIST
            if hasattr(dataset, check):
                return getattr(dataset, check)()
        dataset.full_init()
        return len(dataset) > 0
    except Exception:  # any error that the host raises for absent files
        return False
