"""Find the model inside the wrappers of the host."""

from __future__ import annotations

from mmengine.model import BaseAveragedModel, BaseTTAModel, is_model_wrapper
from torch import nn

WRAPPERS = (BaseTTAModel, BaseAveragedModel)


def bare_model(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several ranks, test-time augmentation or averaging.

    Args:
        model: A model, in any number of wrappers.
    """
    while is_model_wrapper(model) or isinstance(model, WRAPPERS):
        model = model.module
    return model
