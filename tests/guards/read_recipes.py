"""Recipes and the shapes of their models, read and built once for all guards of a process."""

import copy
import functools
import json
from pathlib import Path
from unittest import mock

import torch
from mmengine import Config
from mmengine.model import weight_init
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn.modules.conv import _ConvNd

read_once = functools.cache(Config.fromfile)
BUILT = {}
# The host reads the numbers of these while it builds; all other tensors have a shape only.
ON_THE_CPU = functools.partial(torch.linspace, device='cpu')


def read_recipe(file: Path) -> Config:
    """Read a recipe; the caller may change it."""
    return copy.deepcopy(read_once(file))


def shapes_of(model: dict) -> nn.Module:
    """Build a model on the meta device, without memory for weights; no caller may change it."""
    key = json.dumps(model, sort_keys=True, default=str)
    if key not in BUILT:
        with (
            DefaultScope.overwrite_default_scope('mmpretrain'),
            mock.patch.object(nn.Linear, 'reset_parameters'),
            mock.patch.object(_ConvNd, 'reset_parameters'),
            mock.patch.object(weight_init, '_no_grad_trunc_normal_', lambda weight, *_: weight),
            mock.patch.object(torch, 'linspace', ON_THE_CPU),
            torch.device('meta'),
        ):
            BUILT[key] = MODELS.build(model)
    return BUILT[key]
