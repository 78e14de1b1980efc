"""Replace the dataset of a recipe: ``--data NAME|FILE``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process

from ..command_line.data_arguments import dataset_name
from ..fileio.printable_text import log_line
from ..resources import resource_root
from .classes import counted_classes, set_num_classes
from .component_arguments import RUNNER_KEYS
from .reading import read_config_file
from .retrieval_data import is_retrieval
from .walking import LOADERS, image_size, preprocessor_of, type_name, walk

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
    found = [file for file in _bases() if dataset_name(file.stem) == data]
    if not found:
        names = data_names()
        near = difflib.get_close_matches(str(data), names, n=3)
        hint = f'did you mean {", ".join(near)}?' if near else f'the names are {", ".join(names)}'
        raise ValueError(f'--data {data} is neither a config file nor a dataset: {hint}')
    size = _model_size(cfg)
    configs = [read_config_file(file) for file in found]
    fitting = [config for config in configs if _image_size(config) == size]
    if not fitting:
        sizes = ', '.join(
            f'{_in_words(_image_size(c))} ({Path(c.filename).stem})' for c in configs
        )
        raise ValueError(
            f'--data {data}: {_name(cfg)} is a recipe for images of {_in_words(size)}, and this '
            f'dataset is there at {sizes}. Take a recipe of that size, or write a config file '
            'with loaders of yours'
        )
    return max(fitting, key=lambda c: (_likeness(c, cfg), -len(Path(c.filename).stem)))


def data_names() -> list[str]:
    """Return the names of datasets that ``--data`` accepts."""
    return sorted({dataset_name(file.stem) for file in _bases()})


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
    _require_loaders(cfg, data, splits)
    if not trained:
        require_same_task(cfg, data)
    _require_size(cfg, data, trained)
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


def _bases() -> list[Path]:
    return sorted((resource_root() / 'configs' / '_base_' / 'datasets').glob('*.py'))


def _named_file(data: str | Path) -> Path | None:
    """Return the file that is given by its path or by the full name of a base."""
    path = Path(data).expanduser()
    if path.is_file():
        return path
    if path.suffix:
        packaged = resource_root() / path
        return packaged if packaged.is_file() else path  # the reader refuses it with a message
    for base in _bases():
        if base.stem in (str(data), str(data).replace('-', '_')):
            return base
    return None


def _require_loaders(cfg: Config, data: Config, splits: Sequence[str]) -> None:
    needed = [f'{split}_dataloader' for split in splits]
    missing = [name for name in needed if cfg.get(name) and not data.get(name)]
    if missing:
        raise ValueError(
            f'--data {_name(data)} has no {" and no ".join(missing)}, which {_name(cfg)} needs'
        )


def _drop_loop(cfg: Config, loader: str) -> None:
    """Remove the settings that the host's runner accepts only with a loader, which is absent."""
    split = loader.removesuffix('_dataloader')
    others = ('optim_wrapper', 'param_scheduler') if split == 'train' else (f'{split}_evaluator',)
    for name in (f'{split}_cfg', *others):
        cfg[name] = None


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
            f'{_name(cfg)} is a recipe for {kinds[ours]} and --data {_name(data)} a dataset for '
            f'{kinds[theirs]}. Take one for {kinds[ours]}: {", ".join(_names_for(ours))}'
        )
    loaders = [c.get('train_dataloader') for c in (cfg, data)]
    tuples = [bool(x) and type_name(x.get('sampler') or {}) == 'TupleSampler' for x in loaders]
    if all(loaders) and tuples[0] != tuples[1]:
        with_tuples = _name((cfg, data)[tuples.index(True)])
        raise ValueError(
            f'{with_tuples} trains on tuples of a query, a positive and negatives, the other does '
            'not: take a recipe of configs/retrieval that is written for the dataset'
        )
    for node in walk(cfg.get('custom_hooks')):
        if node.get('train_pipeline'):
            raise ValueError(
                f'{type_name(node)} of {_name(cfg)} has a train_pipeline for its own dataset: '
                'write a config with another one in place of --data'
            )


def _names_for(retrieval: bool) -> list[str]:
    files = {dataset_name(file.stem): file for file in _bases()}
    return [name for name, file in sorted(files.items()) if _is_for_retrieval(file) == retrieval]


@cache
def _is_for_retrieval(file: Path) -> bool:
    return is_retrieval(read_config_file(file))


def _require_size(cfg: Config, data: Config, trained: bool) -> None:
    """Refuse images of another size than the recipe's; for a trained model, only log it."""
    ours, theirs = _model_size(cfg), _image_size(data)
    if None in (ours, theirs) or ours == theirs:
        return
    told = (
        f'--data {_name(data)} gives images of {_in_words(theirs)}, and the model of '
        f'{_name(cfg)} is for {_in_words(ours)}'
    )
    if not trained:
        raise ValueError(
            f'{told}. Take a dataset or a recipe of the same size: '
            '`vit-plugins list RECIPE` shows what fits'
        )
    if is_main_process():
        log_line(f'{told}: scores may be lower than at that size')


def _model_size(cfg: Config) -> tuple[int, int] | None:
    size = (cfg.model.get('backbone') or {}).get('img_size')
    return _image_size(cfg) if size is None else _pair(size)


def _image_size(cfg: Config) -> tuple[int, int] | None:
    """Return the height and width of the images, None if neither pipelines nor model say."""
    try:
        return _pair(image_size(cfg))
    except ValueError:
        return None


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _in_words(size: tuple[int, int] | None) -> str:
    if size is None:
        return 'an unknown size'
    return f'{size[0]} px' if size[0] == size[1] else f'{size[0]} x {size[1]} px'


def _name(cfg: Config) -> str:
    """Return the name of a config on the command line; the host keeps absolute paths."""
    if not cfg.filename:
        return 'the config'
    path = Path(cfg.filename).resolve()
    if path in _bases():
        return path.stem
    for root in (resource_root(), Path.cwd()):
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return str(path)


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
    packaged = Path(data.filename or '').resolve() in _bases()
    ignored = [f'{key}={own[key]}' for key in own if own[key] not in (None, loader.get(key))]
    if ignored and not packaged and is_main_process():
        log_line(
            f'--data {_name(data)}: its {", ".join(ignored)} are not taken, as the learning rate '
            'of the recipe is set for its own (--cfg-options train_dataloader.... sets them)'
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
            f'--data {_name(data)} does not say how many classes there are: add '
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
