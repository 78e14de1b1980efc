"""Pictures of a study: arrays in, figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .statistics import summarize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]


def mean_curve(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the curves of several seeds, at the steps that all have.

    Args:
        curves: (step, value) points of each seed.

    Returns:
        Steps, means and standard deviations (n - 1; 0 for a single seed), (S,) each.
    """
    tables = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*map(set, tables)))
    found = [summarize([table[step] for table in tables]) for step in steps]
    deviations = np.nan_to_num([summary.std for summary in found])
    return np.array(steps), np.array([summary.mean for summary in found]), deviations


def draw_learning_curves(groups: Mapping[str, Sequence[Curve]], metric: str) -> Figure:
    """Draw mean and deviation over the seeds of each setting.

    Args:
        groups: Name of a setting to the curves of its seeds.
        metric: What the values are.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    figure = Figure(figsize=(8, 5), layout='constrained')
    axes = figure.subplots()
    for name, curves in groups.items():
        steps, means, deviations = mean_curve(curves)
        (line,) = axes.plot(steps, means, marker='.' if len(steps) < 30 else '', label=name)
        axes.fill_between(
            steps, means - deviations, means + deviations, color=line.get_color(), alpha=0.15
        )
    axes.set(xlabel='epoch', ylabel=f'{metric} (validation)')
    axes.set_title('mean over seeds; the band is one standard deviation', fontsize='small')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    return figure


def draw_against(
    series: Mapping[str, Mapping[float, Sequence[float]]], xlabel: str, metric: str
) -> Figure:
    """Draw a metric against a number, with one standard deviation over the seeds.

    Args:
        series: Name of each line to x to the values of its seeds.
        xlabel: What x is.
        metric: What the values are.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    for name, points in series.items():
        found = {x: summarize(values) for x, values in sorted(points.items())}
        axes.errorbar(
            list(found),
            [summary.mean for summary in found.values()],
            yerr=np.nan_to_num([summary.std for summary in found.values()]),
            marker='o',
            capsize=3,
            label=name or None,
        )
    every = sorted({x for points in series.values() for x in points})
    if every[0] > 0 and every[-1] / every[0] >= 8:
        axes.set_xscale('log')
        axes.set_xticks(every, [f'{x:g}' for x in every])
        axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=metric)
    axes.grid(alpha=0.3)
    if any(series):
        axes.legend(fontsize='small')
    return figure
