"""Check that the data are there, before anything is built and on every rank."""

import contextlib
import inspect
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urljoin

from mmengine.config import Config
from mmengine.dist import all_gather_object, barrier, is_main_process
from mmpretrain.datasets import ImageNet, ImageNet21k
from mmpretrain.datasets.utils import check_integrity, download_and_extract_archive, rm_suffix
from mmpretrain.registry import DATASETS

from .walking import leaf_datasets

HOST_SOURCES = {  # for host datasets that do not download; ours have a SOURCE
    'Flowers102': (
        'https://www.robots.ox.ac.uk/~vgg/data/flowers/102/: 102flowers.tgz (md5 '
        '52808999861908f626f3c1f4e79d11fa), imagelabels.mat (e0620be6f572b9609742df49c70aed4d) '
        'and setid.mat (a5357ecc9cb78c4bef273ce3793fc85c), unpacked so that DIR/jpg exists'
    ),
    'ImageNet': (
        'ImageNet-1k (ILSVRC 2012): https://image-net.org/challenges/LSVRC/2012/, unpacked so '
        'that DIR/train/n01440764 exists, and DIR/val with such folders or with DIR/meta/val.txt'
    ),
}
SOCKET_TIMEOUT = 20  # seconds without a byte before a download counts as failed


class MissingDataError(FileNotFoundError):
    """The data that a config names are missing; the message says what to do."""


def require_data(
    cfg: Config, splits: Iterable[str] = ('train', 'val', 'test'), fetch: bool = True
) -> None:
    """Check that the datasets of a config are there, or end all ranks with one message.

    Rank 0 downloads absent datasets that the host can download (CIFAR, MNIST and similar ones).
    For the others the folders and annotation files in the config must exist. Datasets that
    contain their data need nothing.

    Args:
        cfg: A config; its dataloaders are read.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` will be read.
        fetch: Whether to download the data that can be downloaded.

    Raises:
        MissingDataError: On every rank, if data are missing on any rank.
    """
    datasets = [
        dataset
        for split in splits
        if (loader := cfg.get(f'{split}_dataloader')) is not None
        for dataset in leaf_datasets(loader['dataset'])
    ]
    failures: dict[str, str] = {}
    if fetch and is_main_process():
        failures = _fetch_missing(datasets)
    barrier()  # the others check only after rank 0 has tried
    missing = [text for dataset in datasets if (text := describe_missing(dataset))]
    everywhere = all_gather_object((missing, failures))
    failures = everywhere[0][1]
    texts = dict.fromkeys(text for found, _ in everywhere for text in found)
    if texts:
        raise MissingDataError(
            '\n\n'.join(
                text + (f'\n  tried: {failures[text]}' if text in failures else '')
                for text in texts
            )
            + '\n\n'
            + (
                'If the data lie elsewhere: --data-root DIR'
                if any(is_placed(dataset) for dataset in datasets)
                else 'Or train on images of your own, one folder per class: --data-root DIR'
            )
        )


def is_placed(dataset: dict) -> bool:
    """Return whether a dataset has its own layout and a known source.

    Args:
        dataset: The config of a dataset.
    """
    kind = dataset['type']
    return hasattr(kind if inspect.isclass(kind) else DATASETS.get(kind), 'SOURCE')


def _fetch_missing(datasets: list[dict]) -> dict[str, str]:
    """Download absent data if possible; return the reason of each failure."""
    failures = {}
    for dataset in datasets:
        text = describe_missing(dataset)
        if not text or text in failures or not _may_download(dataset):
            continue
        try:
            with _socket_timeout(SOCKET_TIMEOUT):
                for url, name, md5 in _archives(_class_of(dataset)):
                    download_and_extract_archive(
                        url, str(_folder(dataset)), filename=name, md5=md5
                    )
        except (OSError, RuntimeError) as error:  # no network, or a file with another md5
            failures[text] = f'{type(error).__name__}: {error}'
    return failures


def describe_missing(dataset: dict) -> str:
    """Return which data are missing and where to put them; empty if nothing is missing.

    Args:
        dataset: The config of a dataset.
    """
    cls = _class_of(dataset)
    if _is_downloadable(cls):
        wanted = _unpacked_files(cls)
        folder = _folder(dataset)
        if all(check_integrity(str(folder / name), md5) for name, md5 in wanted):
            return ''
        archives = '\n'.join(
            f'  file: {name}\n  URL:  {url}\n  md5:  {md5}' for url, name, md5 in _archives(cls)
        )
        return (
            f'{cls.__name__} is not (wholly) in the folder {folder.absolute()}\n{archives}\n'
            '  place it: put the file(s), as downloaded, into that folder and start again; '
            f'they are unpacked to {folder / wanted[0][0]} and so on'
        )
    absent = [path for path in _named_paths(dataset) if not path.exists()]
    if not absent:
        return ''
    told = f'{cls.__name__} lacks ' + ', '.join(str(path.absolute()) for path in absent)
    source = getattr(cls, 'SOURCE', HOST_SOURCES.get(cls.__name__))
    return f'{told}\n  get it: {source}' if source else told


def _class_of(dataset: dict) -> type:
    kind = dataset['type']
    cls = kind if inspect.isclass(kind) else DATASETS.get(kind)
    if cls is None:
        raise KeyError(
            f'no dataset is registered under the name {kind!r}: check the spelling, or name its '
            'module in custom_imports'
        )
    return cls


def _is_downloadable(cls: type) -> bool:
    """Return whether a dataset of the host downloads; others read a folder."""
    return hasattr(cls, 'tgz_md5') or hasattr(cls, 'url_prefix')


def _may_download(dataset: dict) -> bool:
    return _is_downloadable(_class_of(dataset)) and dataset.get('download', True)


def _archives(cls: type) -> list[tuple[str, str, str]]:
    """Return (URL, file name, md5) of each download."""
    if hasattr(cls, 'tgz_md5'):  # CIFAR: one archive
        return [(cls.url, cls.filename, cls.tgz_md5)]
    files = cls.train_list + cls.test_list  # MNIST: four
    return [(urljoin(cls.url_prefix, name), name, md5) for name, md5 in files]


def _unpacked_files(cls: type) -> list[tuple[str, str | None]]:
    """Return (path below the data folder, md5 if known) of each file that is read."""
    files = cls.train_list + cls.test_list
    if hasattr(cls, 'tgz_md5'):
        meta = [(cls.meta['filename'], cls.meta['md5'])]
        return [(os.path.join(cls.base_folder, name), md5) for name, md5 in [*files, *meta]]
    return [(rm_suffix(name), None) for name, _ in files]


def _folder(dataset: dict) -> Path:
    prefix = dataset.get('data_prefix') or ''
    if isinstance(prefix, dict):
        prefix = prefix.get('root', '')
    return Path(dataset.get('data_root') or '', prefix).expanduser()


def _named_paths(dataset: dict) -> list[Path]:
    """Return the local folders and files that a config names for a dataset."""
    root = os.path.expanduser(dataset.get('data_root') or '')
    if root and '://' not in root and not os.path.exists(root):
        return [Path(root)]  # one line for the folder, not one for each of its parts
    cls = _class_of(dataset)
    if hasattr(cls, 'annotation_files'):
        asked = inspect.signature(cls.annotation_files).parameters
        settings = {key: dataset[key] for key in asked if key in dataset}
        return cls.annotation_files(**{**settings, 'data_root': root})
    prefix = dataset.get('data_prefix') or ''
    names = list(prefix.values()) if isinstance(prefix, dict) else [prefix]
    if not any(names) and issubclass(cls, (ImageNet, ImageNet21k)):
        names = [dataset.get('split') or '']
    names.append(dataset.get('ann_file') or '')
    paths = [os.path.join(root, os.path.expanduser(name)) for name in names if name]
    return [Path(path) for path in paths if '://' not in path]


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Limit the wait for a silent server; the host sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
