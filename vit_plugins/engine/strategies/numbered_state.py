"""The state of an optimizer by names of parameters, as FSDP has it, or by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def numbered_state(state: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the state of an optimizer with numbers in the place of names.

    Args:
        state: ``state`` and ``param_groups``, with names of parameters.
        names: The names of the parameters, in the order of the groups.

    >>> group = dict(lr=0.1, params=['head.weight'])
    >>> state = dict(state={'head.weight': 'momentum'}, param_groups=[group])
    >>> numbered_state(state, group['params'])
    {'state': {0: 'momentum'}, 'param_groups': [{'lr': 0.1, 'params': [0]}]}
    """
    return _renamed(state, {name: number for number, name in enumerate(names)})


def named_state(state: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the state of an optimizer with names in the place of numbers.

    Args:
        state: ``state`` and ``param_groups``, with numbers of parameters.
        names: The names of the parameters, in the order of the groups.

    Raises:
        ValueError: If it is the state of an optimizer of another number of parameters.
    """
    count = sum(len(group['params']) for group in state['param_groups'])
    if count != len(names):
        raise ValueError(
            f'the checkpoint holds the state of an optimizer of {count} parameters, and this one '
            f'has {len(names)}: resume with the optim_wrapper and the frozen stages of that run'
        )
    return _renamed(state, dict(enumerate(names)))


def _renamed(state: dict[str, Any], new: dict) -> dict[str, Any]:
    groups = [
        {**group, 'params': [new[key] for key in group['params']]}
        for group in state['param_groups']
    ]
    return {
        'state': {new[key]: value for key, value in state['state'].items()},
        'param_groups': groups,
    }
