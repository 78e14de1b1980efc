"""Check whether a module may be computed from its settings and weights, without a call."""

from types import MethodType

from mmcv.cnn.bricks.wrappers import Linear as HostLinear
from torch import nn

# What torch calls with a module; global hooks are not among them.
MODULE_HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Check whether a module does what its class does, and nothing more.

    A subclass may do more, as may a module with hooks or with a ``forward`` of its own: they wait
    for the call.

    Args:
        module: Any module.
        kind: The class.
    """
    # in words that the compiler of torch 2.1 reads, which knows no vars()
    if type(module) is not kind:
        return False
    own = isinstance(module.forward, MethodType) and module.forward.__func__ is kind.forward
    return own and not any(getattr(module, hooks) for hooks in MODULE_HOOKS)


def is_plain_linear(layer: nn.Module) -> bool:
    """Check whether a layer does nothing but multiply by its weight and add its bias.

    A LoRA or int8 layer does more, as may a weight of a class of its own; pruning changes the
    weight in a hook.

    Args:
        layer: Any module.
    """
    plain = is_plain(layer, nn.Linear) or is_plain(layer, HostLinear)
    return plain and type(layer.weight) is nn.Parameter
