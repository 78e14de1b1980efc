"""The settings of a config that a gallery keeps as plain data, to build and run the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.registry import BATCH_AUGMENTS, MODELS, TRANSFORMS

from ..config_edits.evaluation_part import evaluation_loader
from ..config_edits.photos import accept_photos
from ..config_edits.walking import leaf_datasets, preprocessor_of, walk_named
from ..fileio.documented_errors import documented_errors

TUPLE = '(tuple)'  # JSON only has lists, and some components distinguish a tuple from a list
SCOPES = ('mmpretrain', 'mmengine')
REGISTRIES = (MODELS, TRANSFORMS, BATCH_AUGMENTS)


def settings_of(cfg: Config) -> dict[str, Any]:
    """Return the settings of a config that its model needs to run on photos, as JSON data.

    Classes become their registered names. The initialisation of weights is left out, because a
    checkpoint replaces the weights.

    Args:
        cfg: The config that the model was trained with.

    Raises:
        ValueError: If a setting is of a type that JSON does not have.
    """
    cfg = accept_photos(cfg.copy())
    preprocessor = preprocessor_of(cfg)
    model = {**cfg.model, 'data_preprocessor': preprocessor}
    pipeline = leaf_datasets(evaluation_loader(cfg)['dataset'])[0]['pipeline']
    return {'model': _plain(model, 'model'), 'pipeline': _plain(pipeline, 'pipeline')}


def config_of(settings: Mapping[str, Any]) -> Config:
    """Return a config from settings that may come from anyone.

    MMEngine's registries import and call whatever a dotted type name refers to. Therefore only
    names that are already registered are passed on to them.

    Args:
        settings: What :func:`settings_of` returned, after JSON.

    Raises:
        ValueError: If a type is not registered, or a setting lets a component run code.
    """
    with documented_errors(ValueError, otherwise=_told):
        model, pipeline = _restored(settings['model']), _restored(settings['pipeline'])
        for fault in _faults({'model': model, 'pipeline': pipeline}):
            raise ValueError(fault)
        preprocessor = model.pop('data_preprocessor', {})
    dataset = {'type': 'CustomDataset', 'pipeline': pipeline}  # never built
    return Config(
        {
            **{'default_scope': 'mmpretrain', 'model': model},
            **{'data_preprocessor': preprocessor, 'test_dataloader': {'dataset': dataset}},
        }
    )


def _told(text: str) -> ValueError:
    return ValueError(f'the settings of the gallery are damaged: {text}')


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if k != 'init_cfg'}
        if wrong := [key for key in kept if not isinstance(key, str)]:
            raise ValueError(f'{place} has the key {wrong[0]!r}: a gallery keeps text keys only')
        return {
            key: _registered_name(child) if key == 'type' else _plain(child, f'{place}.{key}')
            for key, child in kept.items()
        }
    if isinstance(value, list | tuple):
        items = [_plain(child, f'{place}.{i}') for i, child in enumerate(value)]
        return {TUPLE: items} if isinstance(value, tuple) else items
    if hasattr(value, 'item') and getattr(value, 'ndim', None) == 0:  # a number of numpy
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(
        f'{place} is of type {type(value).__name__}, which a gallery cannot keep: write it as '
        'numbers, text, lists and dicts in the config'
    )


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {TUPLE}:
            return tuple(_restored(value[TUPLE]))
        return {key: _restored(child) for key, child in value.items()}
    return [_restored(child) for child in value] if isinstance(value, list) else value


def _registered_name(kind: Any) -> str:
    """Return the registered name of a component that is given as a class or a dotted name."""
    if isinstance(kind, str) and ('.' not in kind or _is_registered(kind)):
        return kind
    for registry in _with_parents():
        try:
            found = registry.get(kind) if isinstance(kind, str) else kind
        except RuntimeError:
            continue
        for name, component in registry.module_dict.items():
            if component is found:
                return name
    raise ValueError(f'{kind} is not registered with MMPretrain: register it, or use its name')


def _is_registered(name: str) -> bool:
    scope, _, bare = name.rpartition('.')
    known = any(bare in registry.module_dict for registry in _with_parents())
    return known and scope in ('', *SCOPES)


def _with_parents() -> Iterator[Registry]:
    for registry in REGISTRIES:
        while registry is not None:
            yield registry
            registry = registry.parent


def _faults(settings: dict) -> Iterator[str]:
    """Yield the reasons why settings of unknown origin must not be built."""
    advice = 'use --config FILE with a config that you trust'
    for place, node in walk_named(settings):
        kind = node.get('type')
        if kind is not None and not (isinstance(kind, str) and _is_registered(kind)):
            yield (
                f'the gallery names {kind!r} ({place}.type), which is no component of MMPretrain '
                f'or of this package: import the module that registers it, or {advice}'
            )
        if node.get('_scope_', SCOPES[0]) not in SCOPES or 'trust_remote_code' in node:
            yield f'the gallery may make {place} run code of other people: {advice}'
