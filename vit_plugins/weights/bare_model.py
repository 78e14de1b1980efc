"""Find the model inside the wrappers of the host."""

from __future__ import annotations

from mmengine.model import BaseAveragedModel, BaseTTAModel, is_model_wrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

WRAPPERS = (BaseTTAModel, BaseAveragedModel)


def bare_model(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several ranks, test-time augmentation or averaging.

    Args:
        model: A model, in any number of wrappers.
    """
    while is_model_wrapper(model) or isinstance(model, WRAPPERS):
        model = model.module
    return model


def model_to_load(model: nn.Module) -> nn.Module:
    """Return the model into which whole weights are loaded: FSDP itself takes its shards.

    Args:
        model: A model, in any number of wrappers.
    """
    while not isinstance(model, FullyShardedDataParallel):
        if not (is_model_wrapper(model) or isinstance(model, WRAPPERS)):
            break
        model = model.module
    return model


def plain_name(name: str) -> str:
    """Return the name of a parameter without what FSDP puts into it.

    Args:
        name: A name such as ``_fsdp_wrapped_module.head.weight``.

    >>> plain_name('_fsdp_wrapped_module.head.weight')
    'head.weight'
    """
    return name.replace('_fsdp_wrapped_module.', '')
