"""Refuse settings of an optimizer that a resumed training would ignore."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..work_folder import WorkFolderError

# its members, and how it computes rather than what
NO_SETTINGS = ('params', 'param_names', 'foreach', 'fused', 'capturable', 'differentiable')


@HOOKS.register_module()
class ResumedSettingsHook(Hook):
    """Stop a resumed training whose optimizer settings are not those of the checkpoint.

    The host loads learning rates, weight decay and betas with the state of the optimizer, so
    other values in the config, as by ``--lr``, would have no effect. The tools here add this
    hook; for the host's own tools, name it in ``custom_hooks``.
    """

    def __repr__(self) -> str:
        return 'ResumedSettingsHook()'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the optimizer with that of the checkpoint.

        Args:
            runner: The runner.
            checkpoint: The checkpoint that was read.

        Raises:
            WorkFolderError: If a setting differs.
        """
        saved = checkpoint.get('optimizer')
        wrapper = runner.optim_wrapper
        if not (runner._resume and isinstance(wrapper, OptimWrapper) and isinstance(saved, dict)):
            return
        before, now = saved.get('param_groups', []), wrapper.optimizer.param_groups
        if len(before) != len(now):
            raise WorkFolderError(
                f'{runner._load_from} has {len(before)} groups of parameters in its optimizer, '
                f'and this training has {len(now)}: other layers are frozen, or have a rate of '
                f'their own. {_CURE}'
            )
        for old, new in zip(before, now, strict=True):
            if changed := changed_settings(old, new):
                told = ', '.join(f'{k} was {a} and is {b}' for k, (a, b) in changed.items())
                raise WorkFolderError(
                    f'A resumed training keeps the optimizer settings of {runner._load_from}, so '
                    f'others would have no effect: {told}. {_CURE}'
                )


_CURE = (
    'Resume with the former settings (--lr for the rate, if another --batch-size or number of '
    'ranks changed it), or begin a new run from these weights with --cfg-options load_from=FILE'
)


def changed_settings(before: Mapping, now: Mapping) -> dict[str, tuple[object, object]]:
    """Return which settings of a group of parameters differ.

    Args:
        before: The group in a checkpoint.
        now: The group of an optimizer that has taken no step.

    Returns:
        Name to the earlier and the present value: those from which schedules start.

    >>> changed_settings({'lr': 0.01, 'initial_lr': 0.1, 'eps': 1}, {'lr': 0.2, 'eps': 1})
    {'lr': (0.1, 0.2)}
    """
    names = [k for k in now if k in before and k not in NO_SETTINGS]
    if 'initial_momentum' in now:  # a schedule of the momentum changes them
        names = [k for k in names if k != 'betas']
    pairs = {
        k: (before.get(f'initial_{k}', before[k]), now.get(f'initial_{k}', now[k])) for k in names
    }
    return {name: pair for name, pair in pairs.items() if not _is_same(*pair)}


def _is_same(first: object, second: object) -> bool:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(_is_same(a, b) for a, b in pairs)
    if isinstance(first, Real) and isinstance(second, Real):
        return math.isclose(first, second, rel_tol=1e-6)
    return first == second
