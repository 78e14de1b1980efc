"""Check the weights from which a recipe starts."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS
from torch import nn

from ..weights.fitted import CONSTANT
from ..weights.loading import load_report
from ..weights.origins import origin_of
from .walking import components

ENOUGH = 0.9  # fraction of the backbone's tensors


def pretrained_parts(node: Any) -> list[dict]:
    """Return each ``init_cfg`` of a model that names weights to load.

    Args:
        node: The model's config, or a part of it.
    """
    return components(node, 'Pretrained', 'PretrainedInit')


def require_weights(cfg: Config) -> None:
    """Check that the weights of a recipe fit, and that it names weights if it needs them.

    A recipe that needs weights sets ``from_scratch = 'CONFIG'``: the recipe that needs none.

    Args:
        cfg: A config that ``apply_pretrained`` was not called with.

    Raises:
        ValueError: If the named weights are absent and cannot be downloaded (the message says
            where to get them); if the recipe needs weights and neither an ``init_cfg`` nor
            ``load_from`` names any; if an ``init_cfg`` of the model or the backbone leaves the
            backbone random.
    """
    if cfg.get('load_from'):
        _require_file('load_from', cfg.load_from)
        return
    named = pretrained_parts(cfg.model)
    for node in named:
        _require_file('an init_cfg of the model', node['checkpoint'])
    for key, init_cfg in _named_weights(cfg):
        _check_fit(cfg, key, init_cfg)
    other = cfg.get('from_scratch')
    if other is not None and not named:
        raise ValueError(
            'This recipe is for weights that are trained already, with small learning rates, and '
            'none are named. Name a file or a model of the index, '
            '--pretrained convit-tiny_3rdparty_in1k for one, or train from random weights with '
            f'{other}'
        )


def _named_weights(cfg: Config) -> Iterator[tuple[str, Mapping]]:
    for key, node in (('model', cfg.model), ('model.backbone', cfg.model.get('backbone') or {})):
        for init_cfg in pretrained_parts(node.get('init_cfg')):
            yield key, init_cfg


def _check_fit(cfg: Config, key: str, init_cfg: Mapping) -> None:
    """Load the weights into a copy as the host will, and count the tensors for the backbone."""
    file, prefix = init_cfg['checkpoint'], init_cfg.get('prefix') or ''
    checkpoint = _load(f'{key}.init_cfg', file)
    state = checkpoint.get('state_dict', checkpoint)
    if prefix:
        prefix = prefix if prefix.endswith('.') else f'{prefix}.'
        state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    module = _build(cfg.model if key == 'model' else cfg.model.backbone)
    inside = 'backbone.' if key == 'model' else ''
    wanted = [
        name
        for name in module.state_dict()
        if name.startswith(inside) and not CONSTANT.fullmatch(name)
    ]
    report = load_report(module, state)
    lacking = {*report.missing, *report.shapes}
    found = 0 if report.others else sum(name not in lacking for name in wanted)
    if found < ENOUGH * len(wanted):
        told = report.others or [name for name in wanted if name in lacking][:3]
        raise ValueError(
            f'{key}.init_cfg: {found} of the {len(wanted)} tensors of the backbone are in {file} '
            f'(not: {", ".join(told)}), the others would stay random. Name other weights, or give '
            f'this file with --pretrained, which knows the names of other makers'
        )


def _require_file(key: str, file: str) -> None:
    """Check that weights are there; weights with an address are downloaded and kept."""
    if '://' in file:
        _load(key, file)
    elif not Path(file).expanduser().is_file():
        raise ValueError(
            f'{key} names weights that are not there: {file}\n{origin_of(file)}\n'
            '  or start from others: --pretrained FILE, or a model of `vit-plugins list`'
        )


def _load(key: str, file: str) -> Mapping:
    try:
        return CheckpointLoader.load_checkpoint(file, 'cpu', logger='silent')
    except (OSError, RuntimeError, ImportError, pickle.UnpicklingError) as error:
        raise ValueError(
            f'{key}: {file} cannot be read ({error}). Fetch it by other means and start again '
            'with --pretrained FILE'
        ) from error


def _build(node: Mapping) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build({k: v for k, v in node.items() if k != 'init_cfg'})
