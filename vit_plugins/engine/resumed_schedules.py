"""Let the schedules of a resumed training follow its new length."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.runner import Runner

from .resumed_settings import is_same

# what changes from step to step, or belongs to the optimizer
PROGRESS = ('last_step', 'base_values', 'verbose')


def follow_new_length(runner: Runner, checkpoint: dict) -> str:
    """Set in a checkpoint how far the schedules of this training would be at its step.

    The host loads all of a schedule, its length too. In a training that is resumed with more
    epochs, the learning rate would stay at its end. So schedules that are not those of the
    checkpoint are run from their start to its step.

    Args:
        runner: A runner that loads the checkpoint; its optimizer and schedules are built and have
            taken no step.
        checkpoint: The checkpoint; schedules and scheduled values of the optimizer are replaced.

    Returns:
        A line for the log; empty if the schedules are those of the checkpoint.
    """
    built, saved = runner.param_schedulers, checkpoint.get('param_schedulers')
    if not _are_schedules(built) or not isinstance(saved, list) or len(saved) != len(built):
        return ''
    states = [schedule.state_dict() for schedule in built]
    if not any(map(_differ, saved, states)):
        return ''
    share = _epoch_share(runner, checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer takes no step meanwhile
        _run(built, [_steps(s, state, share) for s, state in zip(built, saved, strict=True)])
    checkpoint['param_schedulers'] = [schedule.state_dict() for schedule in built]
    groups = checkpoint['optimizer']['param_groups']
    before = max(group['lr'] for group in groups)
    for old, new in zip(groups, runner.optim_wrapper.optimizer.param_groups, strict=True):
        old.update({key: value for key, value in new.items() if key != 'params'})
    now = max(group['lr'] for group in groups)
    return (
        f'The schedules follow the new length of the training, as if it had been so from the '
        f'start: the highest learning rate goes on at {now:.3g}, it was {before:.3g}'
    )


def _are_schedules(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(schedule, _ParamScheduler) and not getattr(schedule, 'need_val_args', False)
        for schedule in found
    )


def _differ(before: Mapping, now: Mapping) -> bool:
    """Return whether the settings of two states of a schedule differ."""
    names = [name for name in now if name in before and not name.startswith('_')]
    return any(not is_same(before[k], now[k]) for k in names if k not in PROGRESS)


def _run(schedules: list[_ParamScheduler], steps: list[int]) -> None:
    """Take the steps of schedules in turn, because each builds on the values of the others."""
    for step in range(max(steps, default=0)):
        for schedule, count in zip(schedules, steps, strict=True):
            if step < count:
                schedule.step()


def _steps(schedule: _ParamScheduler, state: Mapping, share: float) -> int:
    """Return how many steps a schedule has taken, in the present length of an epoch."""
    return round(state['_global_step'] * (1 if schedule.by_epoch else share))


def _epoch_share(runner: Runner, checkpoint: Mapping) -> float:
    """Return the steps of an epoch now over those before; 1 if the training counts steps."""
    known = (checkpoint.get('message_hub') or {}).get('runtime_info') or {}
    before = _length(known.get('max_iters'), known.get('max_epochs'))
    now = _length(runner.max_iters, runner.max_epochs)
    return now / before if before and now else 1.0


def _length(iters: int | None, epochs: int | None) -> float:
    return iters / epochs if iters and epochs and epochs > 1 else 0.0
