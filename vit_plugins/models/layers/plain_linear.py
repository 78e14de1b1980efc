"""Check whether a linear layer may be computed from its weight, without a call."""

from types import MethodType

from mmcv.cnn.bricks.wrappers import Linear as HostLinear
from torch import nn

# What torch calls with a module; global hooks are not among them.
MODULE_HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')


def is_plain_linear(layer: nn.Module) -> bool:
    """Check whether a layer does nothing but multiply by its weight and add its bias.

    A LoRA or int8 layer does more, as may a weight of a class of its own and a layer with hooks:
    they wait for the call, and pruning changes the weight in one.

    Args:
        layer: Any module.
    """
    # in words that the compiler of torch 2.1 reads, which knows no vars() and no `in` here
    kind = type(layer)
    if not (kind is nn.Linear or kind is HostLinear):
        return False
    own = isinstance(layer.forward, MethodType) and layer.forward.__func__ is kind.forward
    hooked = any(getattr(layer, hooks) for hooks in MODULE_HOOKS)
    return own and type(layer.weight) is nn.Parameter and not hooked
