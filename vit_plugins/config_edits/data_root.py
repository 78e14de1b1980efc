"""Point any classification config at a person's own photos."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from inspect import signature
from pathlib import Path

import torch.distributed as torch_dist
from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size, is_distributed, is_main_process
from mmpretrain.datasets import CustomDataset, ImageNet, ImageNet21k
from mmpretrain.registry import DATASETS

from ..datasets.class_subset import kept_count
from ..datasets.digits import Digits
from ..datasets.folder_scan import (
    FolderError,
    FolderScan,
    compare_classes,
    find_parts,
    find_unlabelled,
    log_skipped,
    scan_class_folders,
)
from ..datasets.image_check import require_readable
from ..datasets.image_folder import ImageFolder, part_indices
from ..datasets.presence import is_placed, require_data
from ..datasets.retrieval_folder import RetrievalFolder
from ..datasets.rotated_digits import RotatedDigits
from ..fileio.printable_text import log_line
from .classes import set_balance, set_classes
from .photos import accept_photos
from .walking import type_name, walk

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# arguments that stay when the images change; the others say which images
KEPT_ARGUMENTS = ('pipeline', 'serialize_data', 'lazy_init', 'max_refetch', 'test_mode')
# settings of a config that say how a folder is used
FOLDER_SETTINGS = {'val_fraction', 'balance'}
WORDNET_ID = re.compile(r'n\d{8}')


def apply_data_root(
    cfg: Config,
    root: str | Path,
    *,
    verify: bool = True,
    validate: bool = True,
    val_fraction: float | None = None,
    balance: str | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    asked: Collection[str] = (),
) -> Config:
    """Make a config train and test on the images of a folder.

    The folder holds class folders; or ``train`` and perhaps ``val`` and ``test``, with class
    folders inside; or the config's own data set (CIFAR archives, ImageNet, those for retrieval).
    Validation images are split off the training part where there is no ``val``; ``test`` is never
    used for that. Classes match by name: ``val`` and ``test`` may lack some, and one without class
    folders has no labels and is left alone; a log line says so. Pipelines, channel order, head,
    losses and metrics are set to match.

    Args:
        cfg: Any classification config, changed in place.
        root: The folder.
        verify: Whether to read every image once (what was read is remembered).
        validate: Whether there will be a validation; if not, no image is held out for one.
        val_fraction: How much of each class to split off. Default: the config's
            ``val_fraction``, else 0.2.
        balance: What to do about rare classes: 'none', 'sampler' or 'loss'. Default: the
            config's ``balance``, else 'none'.
        seed: The seed of the split.
        classes: What a trained model tells apart, to test it: the folder may lack some of
            them, other class folders are refused.
        asked: Which of ``'val_fraction'`` and ``'balance'`` somebody has set for this folder;
            they are then refused if they have no effect.

    Returns:
        The same config.

    Raises:
        FolderError: On every rank, if folders, classes or images are not as they should be.
        ValueError: If the config cannot be set to them.
    """
    root = Path(os.path.abspath(Path(root).expanduser()))
    if is_retrieval(cfg):
        require_effect(asked, 'the recipe is one for retrieval, whose classes are held out')
        if not validate:
            hold_nothing_out(cfg)
        return _use_retrieval_data(cfg, root, verify)
    if lacking := [key for key in (*LOADERS, 'model') if not cfg.get(key)]:
        raise ValueError(f'this is no classification config: it has no {lacking[0]}')
    if own := own_data_root(cfg, root):
        require_effect(asked, f"{root} holds the config's own data set, with its own parts")
        return _use_own_data(cfg, own)
    if not validate:
        val_fraction = cfg.val_fraction = 0  # so that a later test does not take trained images
    elif val_fraction is None:
        val_fraction = cfg.get('val_fraction', 0.2)
    balance = cfg.get('balance', 'none') if balance is None else balance
    scans = _on_all_ranks(lambda: read_folder(root, cfg, verify=verify, classes=classes))
    if validate:
        _check_fraction(val_fraction, scans, 'val_fraction' in asked)
    lines = _use_class_folders(cfg, scans, val_fraction, balance, seed, validate, classes)
    lines += describe_parts(root, scans, classes or scans['train'].classes)
    if is_main_process():
        for line in lines:
            log_line(line)
    return cfg


def _use_class_folders(
    cfg: Config,
    scans: dict[str, FolderScan],
    val_fraction: float,
    balance: str,
    seed: int,
    validate: bool,
    classes: Sequence[str] | None,
) -> list[str]:
    train = scans['train']
    counts = train.counts()
    if 'val' not in scans:
        kept = part_indices(list(train.samples), 'train', val_fraction, seed)
        counter = Counter(train.samples[i][1] for i in kept)
        counts = [counter[label] for label in range(len(train.classes))]
    chosen = _left_by_subsets(cfg.train_dataloader.dataset, counts)
    accept_photos(cfg)
    names = train.classes if classes is None else tuple(classes)
    _set_datasets(cfg, scans, val_fraction, seed, names)
    set_classes(cfg, names)
    if classes is None:
        set_balance(cfg, balance, chosen)
        _check_batch(cfg, sum(chosen))
    lines = list(describe(scans, counts, val_fraction, seed, balance, validate=validate))
    if chosen != counts:
        lines.append(f'ClassSubset keeps {sum(chosen)} of the images to train on')
    return lines


def read_folder(
    root: Path, cfg: Config, *, verify: bool, classes: Sequence[str] | None = None
) -> dict[str, FolderScan]:
    """Look through the folder and refuse what cannot be trained on.

    Args:
        root: The folder.
        cfg: The config, for the message.
        verify: Whether to read every image (done by the first rank only).
        classes: What a trained model tells apart.

    Returns:
        What lies in the parts: 'train', and 'val' and 'test' if there are such folders.

    Raises:
        FolderError: If something does not fit.
    """
    try:
        parts = find_parts(root)
        train = scan_class_folders(parts.pop('train'), complete=classes is None)
        scans = {'train': train}
        for part, folder in parts.items():
            scan = scan_class_folders(folder, complete=False)
            if not _holds_one_foreign_folder(scan, train):
                scans[part] = scan
    except FolderError as error:
        name = type_name(_leaf(cfg.train_dataloader.dataset))
        raise FolderError(f'{error}\n(nor are the files of {name} there)') from None
    for part, scan in scans.items():
        log_skipped(scan)
        compare_classes(train.classes, scan.classes, f'{part} ({scan.root})', complete=False)
    if classes is not None:
        compare_classes(classes, train.classes, str(root), complete=False)
    if verify and is_main_process():
        for scan in scans.values():
            require_readable(scan.root, [path for path, _ in scan.samples])
    return scans


def _holds_one_foreign_folder(scan: FolderScan, train: FolderScan) -> bool:
    """Return whether a part is unlabelled, as ``test/images/*.jpg`` is."""
    return len(scan.classes) == 1 and scan.classes[0] not in train.classes


def describe_parts(
    root: Path, scans: dict[str, FolderScan], classes: Sequence[str]
) -> Iterator[str]:
    """Return a line for each part that has no labels, or lacks classes.

    Args:
        root: The folder.
        scans: What lies in the parts that are used.
        classes: What the model tells apart.
    """
    every = {**find_parts(root), **find_unlabelled(root)}
    for part, folder in every.items():
        if part not in scans:
            yield (
                f'{folder} holds no folders of the classes, so its images have no labels: it is '
                f'not used for {part}. To name what is on them: tools/predict.py WORK_DIR {folder}'
            )
            continue
        missing = sorted(set(classes) - set(scans[part].classes))
        if missing:
            more = f' and {len(missing) - 10} more' if len(missing) > 10 else ''
            yield (
                f'{scans[part].root} has no image of {", ".join(missing[:10])}{more}: it says '
                'nothing about these classes, and their F1 counts as 0 in a mean'
            )


def describe(
    scans: dict[str, FolderScan],
    counts: list[int],
    val_fraction: float,
    seed: int,
    balance: str,
    *,
    validate: bool = True,
) -> Iterator[str]:
    """Tell what was found and how it is used, a line at a time.

    Args:
        scans: What lies in the parts.
        counts: The number of images to train on, by class.
        val_fraction: The fraction split off.
        seed: The seed of the split.
        balance: What is done about rare classes.
        validate: Whether there is a validation.
    """
    train = scans['train']
    yield (
        f'{len(train.classes)} classes in {train.root}: '
        + ', '.join(f'{c} ({n})' for c, n in zip(train.classes[:20], counts, strict=False))
        + (f' and {len(counts) - 20} more' if len(counts) > 20 else '')
    )
    total = sum(counts)
    if not validate:
        unused = f'; the {len(scans["val"].samples)} of val are not used' if 'val' in scans else ''
        yield f'training on {total} images, none held out for a validation{unused}'
    elif 'val' in scans:
        yield f'training on {total} images, validation on {len(scans["val"].samples)} of val'
    else:
        yield (
            f'training on {total} images, validation on the {len(train.samples) - total} others '
            f'({val_fraction:.0%} of each class, split off by seed {seed})'
        )
        single = [c for c, n in zip(train.classes, train.counts(), strict=True) if n == 1]
        if single:
            yield f'with one image, hence in training only: {", ".join(single)}'
    if 'test' in scans:
        yield f'test on {len(scans["test"].samples)} images of test, used for nothing else'
    elif val_fraction > 0 or 'val' in scans:
        yield 'no test folder: test means the validation images'
    else:
        yield 'no test folder and no validation images: there is nothing to test on'
    if max(counts) > 5 * min(counts) and balance == 'none':
        yield (
            f'the largest class has {max(counts)} images and the smallest {min(counts)}: '
            "balance='sampler' or balance='loss' gives rare classes more weight"
        )


def require_effect(asked: Collection[str], reason: str) -> None:
    """Refuse settings that somebody asked for and that are not read.

    Args:
        asked: Their names.
        reason: Why they are not read.

    Raises:
        ValueError: If there are any.
    """
    if asked:
        raise ValueError(f'{" and ".join(sorted(asked))} would have no effect: {reason}')


def hold_nothing_out(cfg: Config) -> Config:
    """Train on the images, too, that a config with folders of images would validate on.

    Args:
        cfg: A config, changed in place.

    Returns:
        The same config.
    """
    for leaf in _all_leaves(cfg):
        if _is_a(leaf, ImageFolder) and leaf.get('part', 'all') != 'all':
            leaf['val_fraction'] = 0
        elif _is_a(leaf, RetrievalFolder) and leaf.get('split') == 'train':
            leaf['split'] = 'trainval'
    return cfg


def _check_fraction(val_fraction: float, scans: dict[str, FolderScan], asked: bool) -> None:
    root = scans['train'].root
    if 'val' in scans:
        if val_fraction > 0:
            require_effect(
                {f'val_fraction={val_fraction}'} if asked else (),
                f'validation images are those of {scans["val"].root}. Leave it out, or move that '
                'folder away',
            )
    elif val_fraction == 0:
        raise ValueError(
            f'val_fraction=0 holds no image of {root} out, and there is no val folder: nothing is '
            'left to validate or test on. Set val_fraction=0.2, add such a folder, or train with '
            '--no-validate'
        )


def own_data_root(cfg: Config, root: Path) -> Path | None:
    """Tell where the config's own data set lies, None if the folder does not hold it.

    Args:
        cfg: The config.
        root: The folder that a person named.

    Returns:
        The ``data_root`` to set: the folder, or its parent if the archive's folder was named.
    """
    leaf = _leaf(cfg.train_dataloader.dataset)
    kind = leaf['type']
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise ValueError(f'no data set is registered under the name {kind!r}')
    if issubclass(cls, ImageNet | ImageNet21k):
        train = root / 'train'
        ids = train.is_dir() and len([d for d in train.iterdir() if WORDNET_ID.match(d.name)])
        known = (root / 'meta' / 'train.txt').is_file()
        return root if known or ids == len(cls.METAINFO.get('classes', ())) else None
    if issubclass(cls, CustomDataset | Digits):
        return None  # any class folders will do; needs none
    if root.name == getattr(cls, 'base_folder', None):
        root = root.parent
    if hasattr(cls, 'tgz_md5') and (root / cls.filename).is_file():
        return root
    return root if _can_read(leaf, cls, root) else None


def _can_read(leaf: dict, cls: type, root: Path) -> bool:
    trial = {
        **deepcopy(leaf),
        **{'data_root': str(root), 'pipeline': [], 'lazy_init': True, 'serialize_data': False},
    }
    if 'download' in signature(cls).parameters:
        trial['download'] = False
    try:
        dataset = DATASETS.build(trial)
        # sets that download meet at a barrier while loading, which a rank that fails never reaches
        for check in ('_check_integrity', '_check_exists'):  # CIFAR, MNIST
            if hasattr(dataset, check):
                return getattr(dataset, check)()
        dataset.full_init()
        return len(dataset) > 0
    except Exception:  # whatever the host raises for files that are not there
        return False


def _use_own_data(cfg: Config, root: Path) -> Config:
    for loader in LOADERS:
        for leaf in _leaves(cfg[loader].dataset):
            leaf['data_root'] = str(root)
    require_data(cfg)
    if is_main_process():
        log_line(f"{root} holds the config's own data set")
    return cfg


def is_retrieval(cfg: Config) -> bool:
    """Tell whether a config is tested on classes that training does not see.

    Data sets with a layout of their own are, unless they say ``IS_CLASSIFICATION``.

    Args:
        cfg: The config.
    """
    leaves = _all_leaves(cfg)
    placed = [leaf for leaf in leaves if is_placed(leaf) and not _is_classification(leaf)]
    return bool(placed) or any(_is_a(leaf, RotatedDigits) for leaf in leaves)


def _is_classification(leaf: dict) -> bool:
    kind = leaf['type']
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    return getattr(cls, 'IS_CLASSIFICATION', False)


def _use_retrieval_data(cfg: Config, root: Path, verify: bool) -> Config:
    leaves = _all_leaves(cfg)
    for leaf in leaves:
        if _is_a(leaf, RotatedDigits):
            leaf['type'] = 'RetrievalFolder'
        leaf['data_root'] = str(root)
    own = [leaf for leaf in leaves if _is_a(leaf, RetrievalFolder)]
    if own:  # published sets keep the pipelines of their recipes
        accept_photos(cfg)

    def check_folders() -> None:
        names = set()
        for leaf in own:
            dataset = DATASETS.build({**leaf, 'pipeline': []})
            names |= {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}
        if verify and is_main_process():
            require_readable(root, [os.path.relpath(name, root) for name in sorted(names)])

    _on_all_ranks(check_folders)
    if is_main_process():
        for line in _describe_retrieval(root) if own else ():
            log_line(line)
        log_line(f'retrieval data are taken from {root}')
    return cfg


def _describe_retrieval(root: Path) -> Iterator[str]:
    for part, folder in find_unlabelled(root).items():
        yield (
            f'{folder} holds no class folders, so its images have no labels: classes for {part} '
            'are taken from train'
        )


def _is_a(leaf: dict, cls: type) -> bool:
    return type_name(leaf) == cls.__name__


def _all_leaves(cfg: Config) -> list[dict]:
    loaders = [cfg[loader] for loader in LOADERS if cfg.get(loader)]
    return [leaf for loader in loaders for leaf in _leaves(loader.dataset)]


def _set_datasets(
    cfg: Config,
    scans: dict[str, FolderScan],
    val_fraction: float,
    seed: int,
    classes: Sequence[str],
) -> None:
    split = {'val_fraction': val_fraction, 'seed': seed}
    whole = {part: {'data_root': str(scan.root)} for part, scan in scans.items()}
    train = whole['train'] if 'val' in whole else {**whole['train'], 'part': 'train', **split}
    val = whole.get('val') or {**whole['train'], 'part': 'val', **split}
    sources = dict(zip(LOADERS, (train, val, whole.get('test', val)), strict=True))
    for loader, source in sources.items():
        cfg[loader] = deepcopy(cfg[loader])
        cfg[loader].dataset = _replaced(cfg[loader].dataset, source, classes)
        for leaf in _leaves(cfg[loader].dataset):
            leaf['test_mode'] = loader != 'train_dataloader'


def _replaced(dataset: dict, source: dict, classes: Sequence[str]) -> ConfigDict:
    """Put another source of images into a data set, its wrappers kept."""
    if dataset.get('dataset') is not None:
        return ConfigDict({**dataset, 'dataset': _replaced(dataset['dataset'], source, classes)})
    if dataset.get('datasets') is not None:  # concatenated ones: a single source now
        return _replaced(dataset['datasets'][0], source, classes)
    kept = {key: dataset[key] for key in KEPT_ARGUMENTS if key in dataset}
    for key in ('indices', 'filter_cfg'):
        if dataset.get(key) is not None and is_main_process():
            log_line(f'{key}={dataset[key]} chose from other images: dropped')
    meta = {'metainfo': {'classes': tuple(classes)}}
    return ConfigDict({'type': 'ImageFolder', **source, **meta, **kept})


def _left_by_subsets(dataset: dict, counts: list[int]) -> list[int]:
    """Count the images of each class that the subsets around a data set leave."""
    if dataset.get('dataset') is not None:
        counts = _left_by_subsets(dataset['dataset'], counts)
    if type_name(dataset) == 'ClassSubset':
        share = [dataset.get(key) for key in ('fraction', 'num_per_class', 'allow_fewer')]
        return [kept_count(count, *share) for count in counts]
    return counts


def _leaves(dataset: dict) -> list[dict]:
    """List the data sets within wrappers."""
    nodes = [node for node in walk(dataset) if 'type' in node and 'pipeline' in node]
    return nodes or [dataset]


def _leaf(dataset: dict) -> dict:
    return _leaves(dataset)[0]


def _check_batch(cfg: Config, images: int) -> None:
    loader = cfg.train_dataloader
    ranks = get_world_size()
    share = math.ceil(images / ranks)
    if loader.get('drop_last') and share < loader.get('batch_size', 1):
        raise ValueError(
            f'{images} training images'
            + (f' on {ranks} ranks, {share} for each,' if ranks > 1 else '')
            + f' do not fill one batch of {loader.batch_size}: set '
            f'train_dataloader.batch_size={max(share // 4, 1)}'
        )


def _on_all_ranks(read):
    """Run on every rank and, where one fails, fail on every rank with the same message."""
    scans, message = None, None
    try:
        scans = read()
    except FolderError as error:
        message = str(error)
    if is_distributed():
        # gloo waits as long as it takes to read the images; NCCL would give up
        group = torch_dist.new_group(backend='gloo', timeout=timedelta(days=1))
        messages = [None] * torch_dist.get_world_size()
        torch_dist.all_gather_object(messages, message, group=group)
        # The group stays until the ranks end: see end_ranks in engine/launch.py.
        message = next((m for m in messages if m), None)
    if message:
        raise FolderError(message)
    return scans
