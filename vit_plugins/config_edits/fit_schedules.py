"""Fit the schedules of the learning rate to the length of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.runner import Runner
from mmpretrain.registry import PARAM_SCHEDULERS

from .walking import type_name

# The fraction of a training for a warm-up that would take all of it, as in most recipes.
WARMUP_SHARE = 0.1
WARMUPS = ('LinearLR', 'ConstantLR')
DURATIONS = ('T_max', 'total_iters', 'total_steps')
# Arguments that are lengths within a schedule.
PARTS = ('step_size', 'cool_down_time')


def fit_schedules(
    schedules: list[dict[str, Any]], steps: int, epoch_length: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Shorten schedules that outlast a training, and warm-ups that would take all of it.

    Schedules that fit are not changed, whatever their unit. Schedules that end after the training
    are scaled together, so that the last one ends with it; the scaled ones step each iteration,
    and their settings per epoch are converted. Schedules without their own begin or end, and those
    that wait for validation scores, are not changed. A ``WarmupCosineLR`` whose ``total`` is
    longer than the training is stopped early, as its documentation says, unless the training ends
    within its warm-up.

    Args:
        schedules: The configs of the schedules, for one optimizer.
        steps: Length of the training in iterations.
        epoch_length: Iterations of an epoch.

    Returns:
        The configs to build, and a description of the changes.
    """
    notes: list[str] = []
    own = [s for s in schedules if type_name(s) == 'WarmupCosineLR']
    hosts = [s for s in schedules if type_name(s) != 'WarmupCosineLR']
    fitted = [_fit_warmup_cosine(s, steps, epoch_length, notes) for s in own]
    return [*fitted, *_fit_chain(hosts, steps, epoch_length, notes)], notes


def follow_training(runner: Runner) -> None:
    """Fit the schedules of a runner that is not yet training to the length of its training.

    Args:
        runner: The runner; its schedules are replaced.
    """
    steps, length = runner.train_loop.max_iters, len(runner.train_dataloader)
    given = runner.param_schedulers
    if not given:
        return
    several = isinstance(given, Mapping) and 'type' not in given
    groups = given if several else {'': given if isinstance(given, list) else [given]}
    fitted = {}
    for name, group in groups.items():
        group = group if isinstance(group, list) else [group]
        if not all(isinstance(schedule, Mapping) for schedule in group):
            return  # a program has built them
        fitted[name], notes = fit_schedules(group, steps, length)
        for note in notes:
            runner.logger.warning(note)
    runner.param_schedulers = fitted if several else fitted['']


def _unit(schedule: Mapping[str, Any], epoch_length: int) -> int:
    return epoch_length if schedule.get('by_epoch', True) else 1


def _last_step(schedule: Mapping[str, Any]) -> float:
    """Return the end of a schedule in its own unit, 0 if it ends with the training."""
    if schedule.get('milestones'):
        return max(schedule['milestones'])
    if schedule.get('end') is not None:
        return schedule['end']
    lengths = [schedule[key] for key in DURATIONS if schedule.get(key) is not None]
    return schedule.get('begin', 0) + max(lengths) if lengths else 0


def _fit_chain(
    schedules: list[dict], steps: int, epoch_length: int, notes: list[str]
) -> list[dict]:
    timed = [s for s in schedules if _is_timed(s)]
    ends = {id(s): _last_step(s) * _unit(s, epoch_length) for s in timed}
    warmups = {id(s) for s in timed if type_name(s) in WARMUPS and not s.get('begin')}
    planned = max([end for key, end in ends.items() if key not in warmups], default=0)
    warmup = max([ends[key] for key in warmups], default=0)
    factor = steps / planned if planned > steps else 1.0
    short = factor
    if warmup * factor >= steps:
        short = WARMUP_SHARE * steps / warmup
    if factor == short == 1.0:
        return schedules
    notes.append(_note(timed, steps, max(planned, warmup), warmup, short))
    found = []
    for schedule in schedules:
        if id(schedule) not in ends:
            found.append(schedule)
            continue
        own = short if id(schedule) in warmups else factor
        fitted = _scaled(schedule, _unit(schedule, epoch_length), own, warmup, short)
        # the host's LinearLR never reaches its end if it has only one step
        if fitted.get('end') is None or fitted['end'] > fitted['begin'] + 1:
            found.append(fitted)
    return found


def _is_timed(schedule: Mapping[str, Any]) -> bool:
    """Return whether a schedule has its own begin or end."""
    if getattr(PARAM_SCHEDULERS.get(type_name(schedule)), 'need_val_args', False):
        return False  # the host steps it after each validation, whatever the unit
    return bool(_last_step(schedule) or schedule.get('begin'))


def _note(timed: list[dict], steps: int, length: float, warmup: float, short: float) -> str:
    names = ', '.join(type_name(s) for s in timed)
    before = f', a warm-up of {warmup:g} among them' if warmup else ''
    after = f', the warm-up to {warmup * short:.0f} steps' if warmup else ''
    return (
        f'The training has {steps} steps and its schedule ({names}) {length:g}{before}: it is '
        f'shortened to end with the training{after}'
    )


def _scaled(schedule: dict, unit: int, factor: float, warmup: float, short: float) -> dict:
    """Return a schedule that steps each iteration, with scaled times."""
    found = {k: v for k, v in schedule.items() if k != 'convert_to_iter_based'}
    begin = schedule.get('begin', 0) * unit
    # a schedule after the warm-up begins after the shortened warm-up; its end stays
    shift = begin * (factor - short) if 0 < begin <= warmup else 0
    found.update(by_epoch=False, begin=round(begin * factor - shift))
    if schedule.get('end') is not None:
        found['end'] = round(schedule['end'] * unit * factor)
    for key in DURATIONS:
        if schedule.get(key) is not None:
            found[key] = max(round(schedule[key] * unit * factor + shift), 1)
    for key in PARTS:
        if schedule.get(key) is not None:
            found[key] = max(round(schedule[key] * unit * factor), 1)
    for key in ('milestones', 'periods'):
        if schedule.get(key):
            found[key] = [round(time * unit * factor) for time in schedule[key]]
    if type_name(schedule).startswith('Exponential'):
        # a schedule that the host converts decays by gamma in each iteration
        step = factor if schedule.get('convert_to_iter_based') else unit * factor
        found['gamma'] = schedule['gamma'] ** (1 / step)
    return found


def _fit_warmup_cosine(schedule: dict, steps: int, epoch_length: int, notes: list[str]) -> dict:
    unit = _unit(schedule, epoch_length)
    length = steps / unit
    warmup, total = schedule.get('warmup', 5), schedule.get('total')
    if warmup < length or (total is not None and total <= length):
        if total is not None and total > length:
            notes.append(f'WarmupCosineLR is stopped after {length:g} of its {total:g} steps')
        return schedule
    share = warmup / total if total is not None else WARMUP_SHARE
    notes.append(
        f'The warm-up of WarmupCosineLR ({warmup:g}) is as long as the training ({length:g}) or '
        f'longer: it is shortened to {share * length:.3g}, and the cosine ends with the training'
    )
    found = {k: v for k, v in schedule.items() if k not in ('total', 'end')}
    # steps of an epoch are too long for it
    step = {} if unit == 1 else {'convert_to_iter_based': True}
    return {**found, 'warmup': share * length, **step}
