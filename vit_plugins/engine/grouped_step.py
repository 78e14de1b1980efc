"""Join the parameter groups of an optimizer that have equal settings, during its step only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Sequence
from functools import wraps
from types import MethodType
from typing import Any

from torch.optim import ASGD, Optimizer


def joined_groups(
    groups: Sequence[dict], settings: Collection[str], state: Container = ()
) -> list[dict]:
    """Return new groups: those whose settings are equal are one, with all their parameters.

    A parameter that has no state yet, because it gets its first gradient later than others, is not
    joined with those that have: SGD with momentum computes such a group wrongly.

    Args:
        groups: Parameter groups, as ``optimizer.param_groups``; they are not changed.
        settings: The names of the settings that the step reads, as in ``optimizer.defaults``. The
            new groups have no others. Settings that are tensors are equal if they are the same
            object: to compare their values would wait for the GPU.
        state: Contains the parameters that have a state, as ``optimizer.state``.

    >>> groups = [dict(params=['a'], lr=0.1), dict(params=['b'], lr=1), dict(params=['c'], lr=0.1)]
    >>> joined_groups(groups, ['lr'])
    [{'lr': 0.1, 'params': ['a', 'c']}, {'lr': 1, 'params': ['b']}]
    """
    joined: dict[Hashable, dict] = {}
    for group in groups:
        begun = tuple(dict.fromkeys(parameter in state for parameter in group['params']))
        key = (*map(group.get, settings), begun)
        try:
            found = joined.get(key)
        except TypeError:  # betas that a config gives as a list
            key = tuple(tuple(value) if isinstance(value, list) else value for value in key)
            found = joined.get(key)
        if found is None:
            found = {name: group[name] for name in settings if name in group} | {'params': []}
            joined[key] = found
        found['params'] += group['params']
    return list(joined.values())


def can_join_groups(optimizer: Optimizer) -> bool:
    """Return whether a step over joined groups is the same step, and may be faster.

    This holds for the optimizers of torch that have the setting ``foreach``: they compute each
    parameter by itself, read only the settings in ``defaults``, and keep nothing in the groups.
    ASGD is left out: in torch 2.1 it steps a group by the rate of its first parameter. Others may
    differ: Lamb and Adan of MMPretrain count their steps in the groups, and
    ``ZeroRedundancyOptimizer`` assigns its groups to those of its ranks by their place. It does
    not hold if something has replaced ``optimizer.step``, as ``torch.compile`` does by hand.

    Args:
        optimizer: Any optimizer.
    """
    of_torch = f'{type(optimizer).__module__}.'.startswith('torch.optim.')
    apart = 'foreach' in optimizer.defaults and not isinstance(optimizer, ASGD)
    return of_torch and apart and 'step' not in vars(optimizer)


def _under_hooks(step: Callable) -> Callable:
    """Return a step without torch's wrapper that calls the hooks.

    torch puts it around the step of a class when the first optimizer of the class is built, and
    the compiler of torch 2.1 takes it off again.
    """
    wrapper = Optimizer.profile_hook_step(step).__code__  # the same of all that it wraps
    return step.__wrapped__ if step.__code__ is wrapper else step


def join_groups_in_step(optimizer: Optimizer) -> None:
    """Make each step of an optimizer compute over its joined groups.

    Outside the step, and after an error or signal in it, ``param_groups`` is the list that it was.
    The hooks before and after a step, of torch, see that list too.

    Args:
        optimizer: An optimizer of which :func:`can_join_groups` is true; its ``step`` is replaced.
    """
    whole_step = _under_hooks(type(optimizer).step)  # hooks must not see the joined groups

    @wraps(whole_step)
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        groups = self.param_groups
        # no context manager: a signal within its own functions would leave the joined groups
        try:
            self.param_groups = joined_groups(groups, self.defaults, self.state)
            return whole_step(self, *args, **kwargs)
        finally:
            self.param_groups = groups

    # a method, because schedulers ask for its `__func__`
    optimizer.step = MethodType(Optimizer.profile_hook_step(step), optimizer)
