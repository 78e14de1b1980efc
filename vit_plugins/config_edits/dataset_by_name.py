"""Replace the dataset of a recipe: ``--data NAME|FILE``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process

from ..command_line.data_arguments import dataset_name
from ..fileio.printable_text import log_line
from ..resources import resource_root
from .classes import counted_classes, set_num_classes
from .component_arguments import RUNNER_KEYS
from .dataset_fit import (
    config_name,
    dataset_bases,
    image_size_if_known,
    model_size,
    require_loaders,
    require_same_task,
    require_size,
    size_in_words,
)
from .reading import read_config_file
from .retrieval_data import is_retrieval
from .walking import LOADERS, preprocessor_of, type_name, walk

SPLITS = ('train', 'val', 'test')
EVALUATORS = ('val_evaluator', 'test_evaluator')
# Keys of the training loader for which the learning rate and the schedule of a recipe are set.
OF_THE_TRAINING = ('batch_size', 'sampler', 'drop_last')


def apply_data(
    cfg: Config, data: str | Path, *, trained: bool = False, splits: Sequence[str] = SPLITS
) -> Config:
    """Replace the dataset of a recipe by a dataset that is given by name or config file.

    Args:
        cfg: The recipe, changed in place.
        data: A name of ``data_names()``, or a config file with loaders.
        trained: Whether the model is already trained, see :func:`use_data`.
        splits: The splits that will be read, see :func:`use_data`.

    Returns:
        The same config.

    Raises:
        ValueError: If there is no such dataset, it has no config for the recipe's image size, or
            it is for another task.
    """
    return use_data(cfg, read_data(data, cfg), trained=trained, splits=splits)


def read_data(data: str | Path, cfg: Config) -> Config:
    """Load the config of a dataset that fits a recipe.

    Args:
        data: A name or a file. A name without a size may stand for several bases; the one with
            the recipe's image size is read, and of several of these the one with the most similar
            augmentation.
        cfg: The recipe.

    Returns:
        The config of the dataset.

    Raises:
        ValueError: If there is no such dataset.
    """
    file = _named_file(data)
    if file is not None:
        return read_config_file(file)
    found = [file for file in dataset_bases() if dataset_name(file.stem) == data]
    if not found:
        names = data_names()
        near = difflib.get_close_matches(str(data), names, n=3)
        hint = f'did you mean {", ".join(near)}?' if near else f'the names are {", ".join(names)}'
        raise ValueError(f'--data {data} is neither a config file nor a dataset: {hint}')
    size = model_size(cfg)
    configs = [read_config_file(file) for file in found]
    fitting = [config for config in configs if image_size_if_known(config) == size]
    if not fitting:
        sizes = ', '.join(
            f'{size_in_words(image_size_if_known(c))} ({Path(c.filename).stem})' for c in configs
        )
        raise ValueError(
            f'--data {data}: {config_name(cfg)} is a recipe for images of {size_in_words(size)}, '
            f'and this dataset is there at {sizes}. Take a recipe of that size, or write a config '
            'file with loaders of yours'
        )
    return max(fitting, key=lambda c: (_likeness(c, cfg), -len(Path(c.filename).stem)))


def data_names() -> list[str]:
    """Return the names of datasets that ``--data`` accepts."""
    return sorted({dataset_name(file.stem) for file in dataset_bases()})


def use_data(
    cfg: Config, data: Config, *, trained: bool = False, splits: Sequence[str] = SPLITS
) -> Config:
    """Replace datasets, pipelines, preprocessor, number of classes and metrics of a recipe.

    Batch size, sampler and ``drop_last`` of the training stay, because learning rate and schedule
    are set for them. A ``ClassSubset`` around the training images stays as well.

    Args:
        cfg: The recipe, changed in place.
        data: A config with loaders, such as those of ``configs/_base_/datasets``, or a complete
            one.
        trained: Whether the model is already trained. Then its head, mean and deviation stay.
            Images may have another size, which is logged, and may be for another task, for example
            if only features are probed.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` will be read. The others may be absent;
            the config then has no such loop.

    Returns:
        The same config.

    Raises:
        ValueError: If recipe and dataset do not fit: loaders are absent, only one of them is for
            retrieval, the sizes differ, or the number of classes is unknown.
    """
    require_loaders(cfg, data, splits)
    if not trained:
        require_same_task(cfg, data)
    require_size(cfg, data, trained)
    before = deepcopy({key: cfg.get(key) for key in (*LOADERS, *EVALUATORS)})
    before['data_preprocessor'] = deepcopy(preprocessor_of(cfg))
    for name in LOADERS:
        if cfg.get(name) is not None or trained:
            cfg[name] = deepcopy(data.get(name))
            if cfg[name] is None:
                _drop_loop(cfg, name)
    if not trained and before['train_dataloader'] and cfg.train_dataloader:
        _keep_training(cfg.train_dataloader, before['train_dataloader'], data)
    for name in EVALUATORS:
        if data.get(name) is not None and cfg.get(name) is not None:
            cfg[name] = deepcopy(data[name])
    _set_preprocessor(cfg, data, trained)
    if not trained and not is_retrieval(cfg):
        _set_classes(cfg, data)
    _drop_stale_names(cfg, before)
    return cfg


def class_count(cfg: Config) -> int | None:
    """Return the number of classes of a dataset or classifier, None if its config does not say.

    Args:
        cfg: A config of a dataset, or a complete one.
    """
    return counted_classes(cfg.get('model')) or preprocessor_of(cfg).get('num_classes')


def _named_file(data: str | Path) -> Path | None:
    """Return the file that is given by its path or by the full name of a base."""
    path = Path(data).expanduser()
    if path.is_file():
        return path
    if path.suffix:
        packaged = resource_root() / path
        return packaged if packaged.is_file() else path  # the reader refuses it with a message
    for base in dataset_bases():
        if base.stem in (str(data), str(data).replace('-', '_')):
            return base
    return None


def _drop_loop(cfg: Config, loader: str) -> None:
    """Remove the settings that the host's runner accepts only with a loader, which is absent."""
    split = loader.removesuffix('_dataloader')
    others = ('optim_wrapper', 'param_scheduler') if split == 'train' else (f'{split}_evaluator',)
    for name in (f'{split}_cfg', *others):
        cfg[name] = None


def _likeness(data: Config, cfg: Config) -> float:
    """Return the similarity of two training augmentations, from 0 to 1."""
    return difflib.SequenceMatcher(None, _augmentation(data), _augmentation(cfg)).ratio()


def _augmentation(cfg: Config) -> list[str]:
    """Return the training transforms of images and batches, except those that read files."""
    loader = cfg.get('train_dataloader') or cfg.get('test_dataloader')
    pipelines = [n['pipeline'] for n in walk(loader) if isinstance(n.get('pipeline'), list)]
    steps = [step for pipeline in pipelines for step in pipeline]
    steps += preprocessor_of(cfg).get('batch_transforms') or []
    return [type_name(step) for step in steps if not type_name(step).startswith('Load')]


def _keep_training(loader: ConfigDict, before: ConfigDict, data: Config) -> None:
    """Set the recipe's batch settings on the training loader of the other images."""
    own = {key: loader.get(key) for key in OF_THE_TRAINING}
    for key in OF_THE_TRAINING:
        loader.pop(key, None)
        if key in before:
            loader[key] = before[key]
    loader.dataset = _with_subset(before.dataset, loader.dataset)
    packaged = Path(data.filename or '').resolve() in dataset_bases()
    ignored = [f'{key}={own[key]}' for key in own if own[key] not in (None, loader.get(key))]
    if ignored and not packaged and is_main_process():
        log_line(
            f'--data {config_name(data)}: its {", ".join(ignored)} are not taken, as the learning '
            'rate of the recipe is set for its own (--cfg-options train_dataloader.... sets them)'
        )


def _with_subset(before: ConfigDict, dataset: ConfigDict) -> ConfigDict:
    if type_name(before) != 'ClassSubset':
        return dataset
    return ConfigDict({**before, 'dataset': _with_subset(before['dataset'], dataset)})


def _set_preprocessor(cfg: Config, data: Config, trained: bool) -> None:
    ours, theirs = preprocessor_of(cfg), preprocessor_of(data)
    says_colours = 'mean' in theirs or 'to_rgb' in theirs  # if not, the recipe's are kept
    if trained:
        if says_colours:
            ours['to_rgb'] = theirs.get('to_rgb', False)
        return
    if says_colours:
        ours.clear()
    ours.pop('batch_transforms', None)  # they augment the former images
    ours.update(deepcopy(theirs))


def _set_classes(cfg: Config, data: Config) -> None:
    count = class_count(data)
    if count is None:
        raise ValueError(
            f'--data {config_name(data)} does not say how many classes there are: add '
            'data_preprocessor = dict(num_classes=...)'
        )
    set_num_classes(cfg, count)


def _drop_stale_names(cfg: Config, before: dict[str, Any]) -> None:
    """Remove the recipe's names of values that no longer exist, such as ``train_pipeline``."""
    gone = [value for value in _collections(before) if value]
    for name in list(cfg):
        if name not in RUNNER_KEYS and any(cfg[name] == value for value in gone):
            cfg.pop(name)


def _collections(node: Any) -> Iterator[dict | list | tuple]:
    if isinstance(node, dict | list | tuple):
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from _collections(child)
