"""Read losses, metrics and learning rates of a training from its logs."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from statistics import fmean

Points = list[tuple[float, float]]
# hooks keep these measurements in files of their own
INSIDE = ('gate', 'strength', 'nonlocality_propagated', 'nonlocality_official', 'offset_error')
NOT_METRICS = ('time', 'data_time', 'step', 'epoch', 'iter', 'memory')


@dataclass(frozen=True)
class Curves:
    """The logged values of a training, as (x, value) points with rising x; all are finite.

    Attributes:
        unit: What x counts: 'epoch' or 'step'.
        losses: Mean loss of each epoch, or of the steps between two lines of the log, by name.
        metrics: The validation metrics, by name.
        rates: The learning rate.
        before: The values measured before the first step, by name.
        seconds: The total time of the steps, without validations.
    """

    unit: str = 'epoch'
    losses: dict[str, Points] = field(default_factory=dict)
    metrics: dict[str, Points] = field(default_factory=dict)
    rates: dict[str, Points] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def read_curves(work_dir: str | Path, unit: str) -> Curves:
    """Read the ``scalars.json`` of a training and of the runs that continued it.

    If a later run repeated steps of an earlier run, its values replace the earlier ones.

    Args:
        work_dir: The work dir.
        unit: 'epoch' or 'step', the unit that the training counts.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    rows: list[dict] = []
    for file in files:
        found = [*_rows(file.read_text(encoding='utf-8').splitlines(), unit)]
        first = min((row['x'] for row in found if 'lr' in row), default=None)
        if first is not None:
            rows = [row for row in rows if row['x'] < first]
        rows += found
    return curves_of_rows(rows, unit)


def curves_of_rows(rows: Iterable[Mapping], unit: str) -> Curves:
    """Sort the lines of a log into curves.

    Args:
        rows: The lines, each with its ``x``; those of training have a learning rate.
        unit: What x counts.
    """
    training: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    curves = Curves(unit)
    seconds, last_step = 0.0, 0
    for row in rows:
        if 'lr' in row:
            seconds += row.get('time', 0.0) * (row['step'] - last_step)
            last_step = row['step']
            for name, value in _numbers(row):
                training[name][row['x']].append(value)
        elif row['x'] == 0:
            curves.before.update(_numbers(row))
        else:
            for name, value in _numbers(row):
                points = curves.metrics.setdefault(name, [])
                points[:] = [p for p in points if p[0] < row['x']] + [(row['x'], value)]
    for name, found in training.items():
        points = [(x, fmean(values)) for x, values in sorted(found.items())]
        if name.startswith('loss'):
            curves.losses[name] = points
        elif name == 'lr':
            curves.rates[name] = points
    return Curves(unit, curves.losses, curves.metrics, curves.rates, curves.before, seconds)


def _rows(lines: Iterable[str], unit: str) -> Iterator[dict]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # a line that a crash cut short
        if isinstance(row, dict) and 'step' in row:
            by_epoch = unit == 'epoch' and 'lr' in row
            yield {**row, 'x': row.get('epoch', row['step']) if by_epoch else row['step']}


def _numbers(row: Mapping) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if name in (*NOT_METRICS, 'x', 'base_lr') or name.partition('/')[0] in INSIDE:
            continue
        if isinstance(value, Real) and math.isfinite(value):
            yield name, float(value)
