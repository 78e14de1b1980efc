"""Walk over the datasets, pipelines and settings of a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config


def image_size(cfg: Config) -> int | tuple[int, int]:
    """Find the size of the images that a model is trained on.

    Args:
        cfg: A config with pipelines and model.

    Raises:
        ValueError: If neither pipelines nor model tell.
    """
    for node in walk([p for p in walk_pipelines(cfg) if p]):
        name = type_name(node)
        key = 'crop_size' if name.endswith('Crop') and 'crop_size' in node else 'scale'
        if key in node and ('Crop' in name or name == 'Resize'):
            # these two write (width, height)
            return _size(node[key], swap=name in ('CenterCrop', 'Resize'))
    img_size = cfg.model.get('backbone', {}).get('img_size')
    if img_size:
        return _size(img_size)
    raise ValueError(
        'cannot tell the image size of this config: its pipelines neither crop nor resize and '
        "the backbone has no img_size; add dict(type='Resize', scale=...) to the pipelines"
    )


def preprocessor_of(cfg: Config) -> dict:
    """Return the data preprocessor's settings, wherever the config keeps them.

    Args:
        cfg: A config; it gets an empty ``data_preprocessor`` if it has none.
    """
    for holder in (cfg.model, cfg):
        if holder.get('data_preprocessor') is not None:
            return holder['data_preprocessor']
    cfg['data_preprocessor'] = {}
    return cfg['data_preprocessor']


def walk(node: Any) -> Iterator[dict]:
    """Visit every dict within nested dicts and lists.

    Args:
        node: Where to begin.
    """
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from walk(child)


def walk_pipelines(cfg: Config) -> Iterator[list]:
    """Visit the pipelines of the datasets, then those that hooks switch to.

    Args:
        cfg: A config.
    """
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for node in walk(cfg.get(loader)):
            if isinstance(node.get('pipeline'), list):
                yield node['pipeline']
    for node in walk(cfg.get('custom_hooks')):
        if isinstance(node.get('train_pipeline'), list):
            yield node['train_pipeline']


def type_name(node: dict) -> str:
    """Return the bare name of a component: no scope, and of a class its name.

    Args:
        node: A config dict.
    """
    kind = node.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]


def _size(value: int | list | tuple, swap: bool = False) -> int | tuple[int, int]:
    if isinstance(value, int):
        return value
    return tuple(value[::-1]) if swap else tuple(value)
