"""Refuse a config with settings that have no effect, before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import OPTIMIZERS as ALL_OPTIMIZERS
from mmpretrain.registry import OPTIMIZERS

from .component_arguments import RUNNER_KEYS, nearest, unknown_settings
from .recipe_variables import TOOL_KEYS, UnusedSettingError, unread_names
from .walking import type_name, walk

SAME_WORD = 0.6  # words at least this similar count as misspellings of each other


def check_config(cfg: Config) -> None:
    """Check that all settings are read; unread single values only cause a warning.

    Args:
        cfg: A config as it was read from a file, with the options of the command line.

    Raises:
        UnusedSettingError: If keys are misspelt, components do not have such an argument, or
            lengths and intervals are not valid.
    """
    unread = unread_names(cfg)
    problems = [*misspelt_keys(cfg, unread), *unknown_settings(cfg), *impossible_lengths(cfg)]
    problems += unknown_optimizers(cfg)
    if problems:
        raise UnusedSettingError('\n'.join([f'In {cfg.filename}:', *problems]))
    for line in unread_scalars(cfg, unread):
        print_log(line, logger='current', level=logging.WARNING)


def misspelt_keys(cfg: Mapping[str, Any], unread: list[str]) -> Iterator[str]:
    """Find settings that nothing reads and whose name is similar to a key of the runner.

    Args:
        cfg: A config.
        unread: Its top-level keys that nothing reads.

    Yields:
        The name and the known name that it resembles.
    """
    for name in unread:
        known = nearest(name, RUNNER_KEYS)
        if known and not _is_sibling(name, known) and any(True for _ in walk(cfg[name])):
            yield f'{name}: nothing reads it; did you mean {known!r}?'


def _is_sibling(name: str, known: str) -> bool:
    """Return whether a name is another first word followed by the last word of a known name.

    Recipes often have a ``test_pipeline`` or a ``gallery_dataloader``. A recipe based on them may
    no longer read these.
    """
    (own, _, last), (first, _, known_last) = name.rpartition('_'), known.rpartition('_')
    return last == known_last and SequenceMatcher(None, own, first).ratio() < SAME_WORD


def unread_scalars(cfg: Mapping[str, Any], unread: list[str]) -> Iterator[str]:
    """Find single values that nothing reads.

    Args:
        cfg: A config.
        unread: Its top-level keys that nothing reads.

    Yields:
        The name and, if there is one, the known name that it resembles.
    """
    for name in unread:
        if not isinstance(cfg[name], dict | list | tuple):
            known = nearest(name, RUNNER_KEYS | TOOL_KEYS)
            advice = f'; did you mean {known!r}?' if known else ''
            yield f'{name} = {cfg[name]!r} has no effect: nothing reads it{advice}'


def impossible_lengths(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Find lengths, intervals and batch sizes that are not positive whole numbers.

    Args:
        cfg: A config.

    Yields:
        A text with the place, the value and the allowed values.
    """
    counts = [('train_cfg', key) for key in ('max_epochs', 'max_iters', 'val_interval')]
    counts += [(f'{split}_dataloader', 'batch_size') for split in ('train', 'val', 'test')]
    for place, key in counts:
        value = (cfg.get(place) or {}).get(key, 1)
        if not _is_count(value):
            advice = ' (--no-validate trains without validation)' if key == 'val_interval' else ''
            yield f'{place}.{key}={value!r} must be a whole number of at least 1{advice}'
    hooks = {f'default_hooks.{k}': hook for k, hook in (cfg.get('default_hooks') or {}).items()}
    hooks |= {f'custom_hooks.{i}': hook for i, hook in enumerate(cfg.get('custom_hooks') or [])}
    for place, hook in hooks.items():
        if isinstance(hook, Mapping) and type_name(hook).endswith('CheckpointHook'):
            value = hook.get('interval', -1)
            if value != -1 and not _is_count(value):
                yield (
                    f'{place}.interval={value!r} must be a whole number of at least 1, or -1 to '
                    'save the end of the training only'
                )


def unknown_optimizers(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Find optimizers that are not registered; the host says that None is not callable.

    Args:
        cfg: A config.

    Yields:
        A text with the name and the most similar one.
    """
    for node in walk(cfg.get('optim_wrapper')):
        name = (node.get('optimizer') or {}).get('type')
        if isinstance(name, str) and OPTIMIZERS.get(name) is None:
            close = get_close_matches(name, [*OPTIMIZERS.module_dict, *ALL_OPTIMIZERS.module_dict])
            advice = (
                f'did you mean {close[0]!r}?' if close else 'custom_imports registers your own'
            )
            yield f'optim_wrapper.optimizer: there is no optimizer {name}; {advice}'


def _is_count(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, float):
        return value.is_integer() and value >= 1
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
