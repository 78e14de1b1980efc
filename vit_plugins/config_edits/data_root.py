"""Set a user's own photos in any classification config."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process

from ..datasets.class_subset import kept_count
from ..datasets.folder_scan import FolderScan
from ..datasets.image_folder import ImageFolder
from ..datasets.retrieval_folder import RetrievalFolder
from ..fileio.printable_text import log_line
from .classes import set_balance, set_classes
from .evaluation_part import complete_test_part
from .folder_description import describe, describe_parts
from .folder_reading import on_all_ranks, read_folder
from .held_out_duplicates import describe_near_duplicates
from .known_layout import own_data_root, reads_class_folders, use_own_data
from .photos import accept_photos
from .presence import describe_missing
from .retrieval_data import is_retrieval, use_retrieval_data
from .seen_photos import use_unseen_photos
from .walking import LOADERS, all_leaf_datasets, is_a, leaf_datasets, type_name

# arguments that stay when the images change; the others select the images
KEPT_ARGUMENTS = ('pipeline', 'serialize_data', 'lazy_init', 'max_refetch', 'test_mode')
# settings of a config that control how a folder is used
FOLDER_SETTINGS = {'val_fraction', 'balance'}


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
    data: str | None = None,
    told: bool = False,
    trained_on: str | Path | None = None,
    **reading: Any,
) -> Config:
    """Set the images of a folder for training and test.

    The folder holds class folders; or ``train`` and perhaps ``val`` and ``test``, with class
    folders inside; or the config's own dataset (CIFAR archives, ImageNet, those for retrieval).
    If there is no ``val``, validation images are split off the training part; ``test`` is never
    used for that. Classes match by name: ``val`` and ``test`` may lack some. If one of them has no
    class folders, it has no labels and is not used; a log line says so. Pipelines, channel order,
    head, losses and metrics are set to match.

    Args:
        cfg: Any classification config, changed in place.
        root: The folder.
        verify: Whether to read every image once (images that were read before are skipped).
        validate: Whether there will be a validation; if not, no image is held out for one.
        val_fraction: The fraction of each class to split off. Default: the config's
            ``val_fraction``, else 0.2.
        balance: How to weight rare classes: 'none', 'sampler' or 'loss'. Default: the config's
            ``balance``, else 'none'.
        seed: The seed of the split.
        classes: The classes of a trained model that is tested. The folder may lack some of them;
            other class folders are refused.
        asked: Which of ``'val_fraction'`` and ``'balance'`` the user has set for this folder;
            they are refused if they would have no effect.
        data: The dataset that the user chose by ``--data`` and that the config has now. The
            folder must hold it, unless it is read from class folders.
        told: Whether the description of the folder has already been logged.
        trained_on: For a test: the table of the photos that the training has seen, see
            ``write_trained_photos``. If no part of the folder is for validation or test, all
            other photos are tested on, and none is split off.
        **reading: How the folder is read: ``skip_unreadable``, ``labels`` and ``group_by`` of
            ``read_folder``.

    Returns:
        The same config.

    Raises:
        FolderError: On every rank, if folders, classes or images are not valid.
        ValueError: If the config cannot use them, or the folder lacks ``data``.
    """
    root = Path(os.path.abspath(Path(root).expanduser()))
    unused = {*asked, *(f'--{name.replace("_", "-")}' for name in reading)}
    reading = _with_absolute_tables(reading)
    if is_retrieval(cfg):
        unused.discard('--skip-unreadable')
        require_effect(unused, 'the recipe is one for retrieval, whose classes are held out')
        if not validate:
            hold_nothing_out(cfg)
        return use_retrieval_data(cfg, root, verify, data, **reading)
    complete_test_part(cfg)
    if lacking := [key for key in (*LOADERS, 'model') if not cfg.get(key)]:
        raise ValueError(f'this is no classification config: it has no {lacking[0]}')
    if own := own_data_root(cfg, root):
        require_effect(unused, f"{root} holds the config's own dataset, with its own parts")
        return use_own_data(cfg, own)
    _require_named_data(cfg, root, data)
    val_fraction = _fraction_to_hold_out(cfg, val_fraction, validate)
    balance = cfg.get('balance', 'none') if balance is None else balance
    scans = on_all_ranks(lambda: read_folder(root, cfg, verify=verify, classes=classes, **reading))
    scans = _same_on_all_ranks(scans)
    whole = trained_on is not None and scans.keys() == {'train'}  # all photos are for the test
    if classes is not None:
        require_effect({'balance'} & set(asked), 'the model is trained already')
    if whole:
        require_effect(asked, f'all photos of {root} that were not trained on are tested on')
    else:
        _check_fraction(val_fraction, scans, 'val_fraction' in asked, validate)
    lines = _use_class_folders(cfg, scans, val_fraction, balance, seed, validate, classes)
    if whole:
        lines = [use_unseen_photos(cfg, scans['train'], str(trained_on))]
    elif verify and not told:
        lines += describe_near_duplicates(scans, val_fraction, seed)
    lines += describe_parts(root, scans, classes or scans['train'].classes)
    if not told:
        _log(lines)
    return cfg


def _fraction_to_hold_out(cfg: Config, val_fraction: float | None, validate: bool) -> float:
    if not validate:
        val_fraction = cfg.val_fraction = 0  # so that a later test does not use training images
    return cfg.get('val_fraction', 0.2) if val_fraction is None else val_fraction


def _log(lines: Iterable[str]) -> None:
    if is_main_process():
        for line in lines:
            log_line(line)


def _with_absolute_tables(reading: dict[str, Any]) -> dict[str, Any]:
    """Make the paths of tables absolute, because the config will contain them."""
    return {
        key: os.path.abspath(Path(value).expanduser())
        if key == 'labels' or (key == 'group_by' and value.lower().endswith('.csv'))
        else value
        for key, value in reading.items()
    }


def _require_named_data(cfg: Config, root: Path, data: str | None) -> None:
    """Refuse a folder whose class folders would replace a dataset of other files."""
    leaf = leaf_datasets(cfg.train_dataloader.dataset)[0]
    if data is None or reads_class_folders(leaf):
        return
    missing = describe_missing({**leaf, 'data_root': str(root)})
    raise ValueError(
        f'--data {data} is not in the folder {root} of --data-root. Name the folder that holds '
        'its files, or leave out --data to train on the class folders of that folder'
        + (f'\n{missing}' if missing else '')
    )


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
        kept = train.part('train', val_fraction, seed)
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


def _same_on_all_ranks(scans: dict[str, FolderScan]) -> dict[str, FolderScan]:
    """Skip on every rank the files that the first rank could not read."""
    left_out = [{part: scan.left_out for part, scan in scans.items()}]
    broadcast_object_list(left_out)
    return {part: scan.without(left_out[0][part]) for part, scan in scans.items()}


def require_effect(asked: Collection[str], reason: str) -> None:
    """Refuse settings of the user that are not read.

    Args:
        asked: The names of such settings.
        reason: Why they are not read.

    Raises:
        ValueError: If there are any.
    """
    if asked:
        raise ValueError(f'{" and ".join(sorted(asked))} would have no effect: {reason}')


def hold_nothing_out(cfg: Config) -> Config:
    """Add the validation images of a config with image folders to its training images.

    Args:
        cfg: A config, changed in place.

    Returns:
        The same config.
    """
    for leaf in all_leaf_datasets(cfg):
        if is_a(leaf, ImageFolder) and leaf.get('part', 'all') != 'all':
            leaf['val_fraction'] = 0
            leaf.pop('fold', None)
        elif is_a(leaf, RetrievalFolder) and leaf.get('split') == 'train':
            leaf['split'] = 'trainval'
    return cfg


def _check_fraction(
    val_fraction: float, scans: dict[str, FolderScan], asked: bool, validate: bool
) -> None:
    if not validate:
        return
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


def _set_datasets(
    cfg: Config,
    scans: dict[str, FolderScan],
    val_fraction: float,
    seed: int,
    classes: Sequence[str],
) -> None:
    split = {'val_fraction': val_fraction, 'seed': seed}
    whole = {part: _source(scan) for part, scan in scans.items()}
    train = whole['train'] if 'val' in whole else {**whole['train'], 'part': 'train', **split}
    val = whole.get('val') or {**whole['train'], 'part': 'val', **split}
    sources = dict(zip(LOADERS, (train, val, whole.get('test', val)), strict=True))
    for loader, source in sources.items():
        cfg[loader] = deepcopy(cfg[loader])
        cfg[loader].dataset = _replaced(cfg[loader].dataset, source, classes)
        for leaf in leaf_datasets(cfg[loader].dataset):
            leaf['test_mode'] = loader != 'train_dataloader'


def _source(scan: FolderScan) -> dict:
    left_out = {'left_out': list(scan.left_out)} if scan.left_out else {}
    return {'data_root': str(scan.root), **left_out, **scan.source}


def _replaced(dataset: dict, source: dict, classes: Sequence[str]) -> ConfigDict:
    """Replace the source of images of a dataset and keep its wrappers."""
    if dataset.get('dataset') is not None:
        return ConfigDict({**dataset, 'dataset': _replaced(dataset['dataset'], source, classes)})
    if dataset.get('datasets') is not None:  # concatenated datasets become a single source
        return _replaced(dataset['datasets'][0], source, classes)
    kept = {key: dataset[key] for key in KEPT_ARGUMENTS if key in dataset}
    for key in ('indices', 'filter_cfg'):
        if dataset.get(key) is not None and is_main_process():
            log_line(f'{key}={dataset[key]} chose from other images: dropped')
    meta = {'metainfo': {'classes': tuple(classes)}}
    return ConfigDict({'type': 'ImageFolder', **source, **meta, **kept})


def _left_by_subsets(dataset: dict, counts: list[int]) -> list[int]:
    """Count the images of each class that remain after the subsets around a dataset."""
    if dataset.get('dataset') is not None:
        counts = _left_by_subsets(dataset['dataset'], counts)
    if type_name(dataset) == 'ClassSubset':
        share = [dataset.get(key) for key in ('fraction', 'num_per_class', 'allow_fewer')]
        return [kept_count(count, *share) for count in counts]
    return counts


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
