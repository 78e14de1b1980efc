"""Check whether a dataset fits a recipe: its task, its loaders and the size of its images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from ..command_line.data_arguments import dataset_name
from ..fileio.printable_text import log_line
from ..resources import resource_root
from .reading import read_config_file
from .retrieval_data import is_retrieval
from .walking import image_size, type_name, walk


def dataset_bases() -> list[Path]:
    """Return the config files of the datasets that the package brings."""
    return sorted((resource_root() / 'configs' / '_base_' / 'datasets').glob('*.py'))


def require_loaders(cfg: Config, data: Config, splits: Sequence[str]) -> None:
    """Check that a dataset has the loaders of the recipe.

    Args:
        cfg: A recipe.
        data: The config of a dataset.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` will be read.

    Raises:
        ValueError: If a loader is absent.
    """
    needed = [f'{split}_dataloader' for split in splits]
    missing = [name for name in needed if cfg.get(name) and not data.get(name)]
    if missing:
        raise ValueError(
            f'--data {config_name(data)} has no {" and no ".join(missing)}, which '
            f'{config_name(cfg)} needs'
        )


def require_same_task(cfg: Config, data: Config) -> None:
    """Check that a dataset has the recipe's task: classification, retrieval by pairs or tuples.

    Args:
        cfg: A recipe.
        data: The config of a dataset.

    Raises:
        ValueError: If the two are for different tasks.
    """
    kinds = {True: 'retrieval', False: 'classification'}
    ours, theirs = is_retrieval(cfg), is_retrieval(data)
    if ours != theirs:
        raise ValueError(
            f'{config_name(cfg)} is a recipe for {kinds[ours]} and --data {config_name(data)} a '
            f'dataset for {kinds[theirs]}. Take one for {kinds[ours]}: '
            f'{", ".join(_names_for(ours))}'
        )
    loaders = [c.get('train_dataloader') for c in (cfg, data)]
    tuples = [bool(x) and type_name(x.get('sampler') or {}) == 'TupleSampler' for x in loaders]
    if all(loaders) and tuples[0] != tuples[1]:
        with_tuples = config_name((cfg, data)[tuples.index(True)])
        raise ValueError(
            f'{with_tuples} trains on tuples of a query, a positive and negatives, the other does '
            'not: take a recipe of configs/retrieval that is written for the dataset'
        )
    for node in walk(cfg.get('custom_hooks')):
        if node.get('train_pipeline'):
            raise ValueError(
                f'{type_name(node)} of {config_name(cfg)} has a train_pipeline for its own '
                'dataset: write a config with another one in place of --data'
            )


def _names_for(retrieval: bool) -> list[str]:
    files = {dataset_name(file.stem): file for file in dataset_bases()}
    return [name for name, file in sorted(files.items()) if _is_for_retrieval(file) == retrieval]


@cache
def _is_for_retrieval(file: Path) -> bool:
    return is_retrieval(read_config_file(file))


def require_size(cfg: Config, data: Config, trained: bool) -> None:
    """Check that the images have the size of the recipe.

    Args:
        cfg: A recipe.
        data: The config of a dataset.
        trained: Whether the model is already trained: another size is then only logged.

    Raises:
        ValueError: If the size is another one.
    """
    ours, theirs = model_size(cfg), image_size_if_known(data)
    if None in (ours, theirs) or ours == theirs:
        return
    told = (
        f'--data {config_name(data)} gives images of {size_in_words(theirs)}, and the model of '
        f'{config_name(cfg)} is for {size_in_words(ours)}'
    )
    if not trained:
        raise ValueError(
            f'{told}. Take a dataset or a recipe of the same size: '
            '`vit-plugins list RECIPE` shows what fits'
        )
    if is_main_process():
        log_line(f'{told}: scores may be lower than at that size')


def model_size(cfg: Config) -> tuple[int, int] | None:
    """Return the height and width of the images that a model is for, None if nothing says.

    Args:
        cfg: A recipe.
    """
    size = (cfg.model.get('backbone') or {}).get('img_size')
    return image_size_if_known(cfg) if size is None else _pair(size)


def image_size_if_known(cfg: Config) -> tuple[int, int] | None:
    """Return the height and width of the images, None if neither pipelines nor model say.

    Args:
        cfg: A config of a dataset, or a complete one.
    """
    try:
        return _pair(image_size(cfg))
    except ValueError:
        return None


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def size_in_words(size: tuple[int, int] | None) -> str:
    """Return a size for a message.

    Args:
        size: Height and width, or None.
    """
    if size is None:
        return 'an unknown size'
    return f'{size[0]} px' if size[0] == size[1] else f'{size[0]} x {size[1]} px'


def config_name(cfg: Config) -> str:
    """Return the name of a config on the command line; the host keeps absolute paths.

    Args:
        cfg: A config.
    """
    if not cfg.filename:
        return 'the config'
    path = Path(cfg.filename).resolve()
    if path in dataset_bases():
        return path.stem
    for root in (resource_root(), Path.cwd()):
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return str(path)
