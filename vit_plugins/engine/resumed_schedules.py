"""Compute where the schedules of a resumed training stand, for its new length or rate."""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import Runner

from .resumed_settings import is_same

# what changes from step to step, or belongs to the optimizer
PROGRESS = ('last_step', 'base_values', 'verbose')


def follow_new_length(
    runner: Runner, checkpoint: dict, *, always: bool = False, ahead: bool = False
) -> str:
    """Set in a checkpoint how far the schedules of this training would be at its step.

    The host loads all of a schedule, its length too. In a training that is resumed with more
    epochs, the learning rate would stay at its end. So schedules that are not those of the
    checkpoint are run from their start to its step.

    Args:
        runner: A runner that loads the checkpoint; its optimizer and schedules are built and have
            taken no step.
        checkpoint: The checkpoint; schedules and settings of the optimizer are replaced.
        always: Whether also where the schedules are those of the checkpoint, because the values
            differ from which they start.
        ahead: Whether the schedules were ahead of the training, as with a time budget, and now
            go back to the steps that it has made.

    Returns:
        A line for the log; empty if nothing was replaced.
    """
    built, saved = runner.param_schedulers or [], checkpoint.get('param_schedulers') or []
    if not _are_schedules(built) or not isinstance(saved, list) or len(saved) != len(built):
        return ''
    states = [schedule.state_dict() for schedule in built]
    if not (always or ahead or any(map(_differ, saved, states))):
        return ''
    share, done = _epoch_share(runner, checkpoint), checkpoint['meta'] if ahead else {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer takes no step meanwhile
        _run(
            built,
            [_steps(s, state, share, done) for s, state in zip(built, saved, strict=True)],
            round(_length(runner.max_iters, runner.max_epochs)) or 1,
        )
    checkpoint['param_schedulers'] = [schedule.state_dict() for schedule in built]
    groups = checkpoint['optimizer']['param_groups']
    before = max(group['lr'] for group in groups)
    _replace_settings(checkpoint['optimizer'], runner.optim_wrapper)
    now = max(group['lr'] for group in groups)
    follow = (
        'The schedules follow the settings of this training, as if they had been so from the start'
        if built
        else 'There are no schedules, and the settings of this training are used from here'
    )
    return f'{follow}: the highest learning rate goes on at {now:.3g}, it was {before:.3g}'


def _replace_settings(saved: dict, wrapper: OptimWrapper) -> None:
    """Set the settings of an optimizer in its saved state."""
    for old, new in zip(saved['param_groups'], wrapper.optimizer.param_groups, strict=True):
        old.update({key: value for key, value in new.items() if key != 'params'})
    base = getattr(wrapper, 'base_param_settings', None)
    if base is not None:  # its rate is what the host logs as base_lr
        saved['base_param_settings'] = dict(base)


def _are_schedules(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(schedule, _ParamScheduler) and not getattr(schedule, 'need_val_args', False)
        for schedule in found
    )


def _differ(before: Mapping, now: Mapping) -> bool:
    """Return whether the settings of two states of a schedule differ."""
    names = [name for name in now if name in before and not name.startswith('_')]
    return any(not is_same(before[k], now[k]) for k in names if k not in PROGRESS)


def _run(schedules: list[_ParamScheduler], counts: list[int], length: int) -> None:
    """Compute the steps of schedules in the order of a training, as each builds on the others."""
    rows = zip(schedules, counts, strict=True)
    steps = [_due(number, s, count, length) for number, (s, count) in enumerate(rows)]
    for *_, number in heapq.merge(*steps):
        schedules[number].step()


def _due(
    number: int, schedule: _ParamScheduler, count: int, length: int
) -> Iterator[tuple[int, bool, int]]:
    """Yield at which step of the training a schedule steps; those by epochs are the last ones."""
    every = length if schedule.by_epoch else 1
    for step in range(1, count + 1):
        yield step * every, schedule.by_epoch, number


def _steps(
    schedule: _ParamScheduler, state: Mapping, share: float, done: Mapping[str, int]
) -> int:
    """Return how many steps a schedule has taken, in the present length of an epoch."""
    taken = state['_global_step']
    taken = min(taken, done.get('epoch' if schedule.by_epoch else 'iter', taken))
    return round(taken * (1 if schedule.by_epoch else share))


def _epoch_share(runner: Runner, checkpoint: Mapping) -> float:
    """Return the steps of an epoch now over those before; 1 if the training counts steps."""
    known = (checkpoint.get('message_hub') or {}).get('runtime_info') or {}
    before = _length(known.get('max_iters'), known.get('max_epochs'))
    now = _length(runner.max_iters, runner.max_epochs)
    return now / before if before and now else 1.0


def _length(iters: int | None, epochs: int | None) -> float:
    return iters / epochs if iters and epochs and epochs > 1 else 0.0
