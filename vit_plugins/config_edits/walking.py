"""Walk over the datasets, pipelines and settings of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def image_size(cfg: Config) -> int | tuple[int, int]:
    """Return the size of the images on which a model is trained.

    Args:
        cfg: A config with pipelines, transforms of whole batches or a model.

    Raises:
        ValueError: If neither pipelines nor model give the size.
    """
    for steps in (preprocessor_of(cfg).get('batch_transforms'), *walk_pipelines(cfg)):
        if sizes := list(_sizes(steps)):
            return sizes[-1]
    img_size = (cfg.get('model') or {}).get('backbone', {}).get('img_size')
    if img_size:
        return _size(img_size)
    raise ValueError(
        'cannot tell the image size of this config: its pipelines neither crop nor resize and '
        "the backbone has no img_size; add dict(type='Resize', scale=...) to the pipelines"
    )


def preprocessor_of(cfg: Config) -> dict:
    """Return the settings of the data preprocessor, wherever the config has them.

    Args:
        cfg: A config; it gets an empty ``data_preprocessor`` if it has none.
    """
    for holder in (cfg.get('model') or {}, cfg):
        if holder.get('data_preprocessor') is not None:
            return holder['data_preprocessor']
    cfg['data_preprocessor'] = {}
    return cfg['data_preprocessor']


def walk(node: Any) -> list[dict]:
    """Return every dict within nested dicts and lists.

    Args:
        node: Where to begin.
    """
    return [found for _, found in walk_named(node)]


def components(node: Any, *names: str) -> list[dict]:
    """Return the components of these names within nested dicts and lists.

    Args:
        node: Where to begin.
        *names: Bare names, without a scope.
    """
    return [found for found in walk(node) if type_name(found) in names]


def component_names(node: Any) -> list[str]:
    """Return the bare names of all components within nested dicts and lists.

    Args:
        node: Where to begin.
    """
    return [type_name(found) for found in walk(node) if 'type' in found]


def walk_named(node: Any, name: str = '') -> Iterator[tuple[str, Mapping]]:
    """Yield every dict within nested dicts and lists, with the name of its place.

    Args:
        node: Where to begin.
        name: The name of that place.

    Yields:
        Names such as ``'model.backbone'`` or ``'custom_hooks.0'`` and the dicts.
    """
    children: Any = ()
    if isinstance(node, Mapping):
        yield name, node
        children = list(node.items())
    elif isinstance(node, list | tuple):
        children = enumerate(node)
    for key, child in children:
        yield from walk_named(child, f'{name}.{key}' if name else str(key))


def inner_datasets(dataset: Mapping) -> list[dict]:
    """Return the datasets directly inside a wrapper, such as ``ConcatDataset``.

    Args:
        dataset: The config of a dataset; one that wraps no other gives an empty list.
    """
    inner = dataset.get('datasets') or dataset.get('dataset') or []
    return list(inner) if isinstance(inner, list | tuple) else [inner]


def leaf_datasets(dataset: Mapping) -> list[dict]:
    """Return the datasets inside all wrappers: those that read images.

    Args:
        dataset: The config of a dataset; one that wraps no other is its own leaf.
    """
    inner = inner_datasets(dataset)
    return [leaf for child in inner for leaf in leaf_datasets(child)] if inner else [dataset]


def uncached_dataset(dataset: dict) -> dict:
    """Return the dataset inside ``CachedImages``; any other dataset is returned itself.

    Args:
        dataset: The config of a dataset.
    """
    return dataset['dataset'] if type_name(dataset) == 'CachedImages' else dataset


def all_leaf_datasets(cfg: Config) -> list[dict]:
    """Return the datasets that read the images of training, validation and test.

    Args:
        cfg: A config.
    """
    loaders = [cfg[loader] for loader in LOADERS if cfg.get(loader)]
    return [leaf for loader in loaders for leaf in leaf_datasets(loader['dataset'])]


def walk_pipelines(cfg: Config) -> Iterator[list]:
    """Yield the pipelines of the datasets, then those to which hooks switch.

    Args:
        cfg: A config.
    """
    for loader in LOADERS:
        yield from pipelines_of(cfg.get(loader))
    for node in walk(cfg.get('custom_hooks')):
        if isinstance(node.get('train_pipeline'), list):
            yield node['train_pipeline']


def pipelines_of(dataset: Any) -> list[list]:
    """Return the pipelines within a dataset or a loader.

    Args:
        dataset: The config of a dataset or of a loader.
    """
    nodes = walk(dataset)
    return [node['pipeline'] for node in nodes if isinstance(node.get('pipeline'), list)]


def type_name(node: dict) -> str:
    """Return the bare name of a component: without its scope; for a class, the name of the class.

    Args:
        node: A config dict.
    """
    kind = node.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]


def _sizes(steps: Any) -> Iterator[int | tuple[int, int]]:
    """Yield the image sizes to which the transforms resize or crop, one after the other."""
    for node in walk(steps):
        name = type_name(node)
        key = 'crop_size' if name.endswith('Crop') and 'crop_size' in node else 'scale'
        if key in node and ('Crop' in name or name == 'Resize'):
            # these two use (width, height)
            yield _size(node[key], swap=name in ('CenterCrop', 'Resize'))


def is_a(node: dict, cls: type) -> bool:
    """Return whether a config dict names this class, with or without a scope.

    Args:
        node: A config dict.
        cls: The class.
    """
    return type_name(node) == cls.__name__


def _size(value: int | list | tuple, swap: bool = False) -> int | tuple[int, int]:
    if isinstance(value, int):
        return value
    return tuple(value[::-1]) if swap else tuple(value)
