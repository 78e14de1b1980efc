"""Measure time and memory of the sides of a comparison in turns."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from ..engine.memory_forecast import kept_bytes
from .comparison import Comparison, check_equal_outputs
from .setting import Setting

MOST_CALLS = 20  # in one turn


class Spent(NamedTuple):
    """The time that a call took.

    Attributes:
        wall: Seconds of wall-clock time; on a GPU, of its stream.
        cpu: CPU seconds of all threads and of children that have ended.
    """

    wall: float
    cpu: float


def measure(comparison: Comparison, setting: Setting) -> dict[str, Any]:
    """Check that all sides compute the same, then measure them in turns, or unchecked once.

    Args:
        comparison: The sides; the first is ours.
        setting: The device and the duration.

    Returns:
        ``differences`` of the outputs, ``missing`` peers, and in ``sides`` for each side: the
        median ``seconds`` of a call and those of each round; ``cpu_seconds``, the CPU time of all
        threads and ended children, which other programs disturb least; ``ratio`` and
        ``cpu_ratio``, the medians of the rounds' ratios to ours; ``peak_mb`` of additional
        memory, and ``kept_mb`` of activations.

    Raises:
        OutputsDifferError: If the outputs differ.
    """
    calls = {name: side.call for name, side in comparison.sides.items()}
    if setting.once:
        differences = {}
        spent, memory = measure_once(calls, setting)
    else:
        differences = check_equal_outputs(comparison)
        memory = {name: peak_megabytes(call, setting) for name, call in calls.items()}
        spent = time_in_turns(calls, setting)
    ours = next(iter(spent.values()))
    sides = {}
    for name, side in comparison.sides.items():
        row: dict[str, Any] = {**_summary(spent[name], ours), 'peak_mb': memory[name]}
        if name in comparison.keeps and not setting.once:
            row['kept_mb'] = kept_bytes(comparison.keeps[name], side.module) / 2**20
        if comparison.images:
            row['per_second'] = comparison.images / row['seconds']
        if side.about:
            row['about'] = side.about
        sides[name] = row
    return {'differences': differences, 'missing': comparison.missing, 'sides': sides}


def _summary(spent: list[Spent], ours: list[Spent]) -> dict[str, Any]:
    def ratio(kind: str) -> float:
        pairs = zip(spent, ours, strict=True)
        return median(getattr(a, kind) / max(getattr(b, kind), 1e-9) for a, b in pairs)

    return {
        'seconds': median(turn.wall for turn in spent),
        'ratio': ratio('wall'),
        'cpu_seconds': median(turn.cpu for turn in spent),
        'cpu_ratio': ratio('cpu'),
        'rounds': [turn.wall for turn in spent],
    }


def measure_once(
    calls: dict[str, Callable[[], Any]], setting: Setting
) -> tuple[dict[str, list[Spent]], dict[str, float | None]]:
    """Return time and peak memory of a single call of each side, without warming up.

    Args:
        calls: Name of each side to the call.
        setting: The device.
    """
    timer = _seconds_on_gpu if setting.is_cuda else _seconds_on_cpu
    spent: dict[str, list[Spent]] = {name: [] for name in calls}
    memory = {}
    for name, call in calls.items():

        def timed(name: str = name, call: Callable[[], Any] = call) -> None:
            before = _cpu_seconds()
            wall = timer(call, 1)
            spent[name].append(Spent(wall, _cpu_seconds() - before))

        memory[name] = _peak_of(timed, setting)
    return spent, memory


def time_in_turns(calls: dict[str, Callable[[], Any]], setting: Setting) -> dict[str, list[Spent]]:
    """Return the seconds of a call in each round; in a round every side has one turn.

    On a GPU this is the time between two events of its stream, on a CPU the wall time of a call.

    Args:
        calls: Name of each side to the call to time.
        setting: Rounds, seconds of a turn, device.
    """
    timer = _seconds_on_gpu if setting.is_cuda else _seconds_on_cpu
    number = {}
    for name, call in calls.items():
        seconds = timer(call, 1)  # chooses kernels and allocates memory
        if seconds < setting.turn:
            seconds = timer(call, 1)
        number[name] = max(1, min(MOST_CALLS, int(setting.turn / max(seconds, 1e-9))))
    spent: dict[str, list[Spent]] = {name: [] for name in calls}
    for _ in range(setting.rounds):
        for name, call in calls.items():
            before = _cpu_seconds()
            wall = timer(call, number[name])
            spent[name].append(Spent(wall, (_cpu_seconds() - before) / number[name]))
    return spent


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def _seconds_on_cpu(call: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def _seconds_on_gpu(call: Callable[[], Any], number: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(number):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / number


def peak_megabytes(call: Callable[[], Any], setting: Setting) -> float | None:
    """Return the additional memory of a call at its peak.

    Args:
        call: The call, which runs twice.
        setting: The device; on a CPU the resident memory of the process counts.

    Returns:
        MiB, or None if the operating system does not report it.
    """
    call()  # permanent memory must not count for the call
    return _peak_of(call, setting)


def _peak_of(call: Callable[[], Any], setting: Setting) -> float | None:
    if setting.is_cuda:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with suppress(OSError, AttributeError):
        ctypes.CDLL('libc.so.6').malloc_trim(0)  # else freed memory is reused and not counted
    if not os.access('/proc/self/clear_refs', os.W_OK):
        call()
        return None
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    before = _resident('VmRSS')
    call()
    return (_resident('VmHWM') - before) / 2**20


def _resident(name: str) -> int:
    status = Path('/proc/self/status').read_text()
    return int(status.split(f'{name}:')[1].split()[0]) * 1024
