"""Plot curves of a run and of a study, without global state of matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.functional.statistics import summarize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]
# Okabe and Ito (2008): colour-blind readers can distinguish them; more lines differ in dashes
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000', '#999999')
NAMED_AT_THE_END = 6  # up to this number, lines have their names beside them; more have a legend
DASHES = ('-', '--', ':', '-.')
MARKERS = 'os^Dv<>pP*XhH8d'


def plot_learning_curve(
    losses: Mapping[str, Curve], metrics: Mapping[str, Curve], xlabel: str = 'epoch'
) -> Figure:
    """Plot how losses fell and metrics rose.

    Args:
        losses: Name to (step, value) points, for the upper panel.
        metrics: The same, for the lower panel; the last value is written beside the name. A
            panel without curves is left out.
        xlabel: The name of a step.

    Returns:
        The figure; ``figure.savefig(file)`` writes it, with or without a display.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    panels = [(n, c) for n, c in (('training loss', losses), ('validation', metrics)) if c]
    figure = Figure(figsize=(7, 1 + 2.5 * len(panels)), layout='constrained')
    rows = figure.subplots(max(len(panels), 1), sharex=True, squeeze=False)[:, 0]
    for axes, (title, curves) in zip(rows, panels, strict=False):
        for name, points in curves.items():
            steps, values = zip(*points, strict=True)
            marker = '.' if len(steps) < 30 else ''
            axes.plot(steps, values, marker=marker, label=f'{name} {values[-1]:.4g}')
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    rows[-1].set_xlabel(xlabel)
    return figure


def mean_curve(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the mean of the curves of several seeds, at the steps that all have.

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


def plot_mean_curves(
    groups: Mapping[str, Sequence[Curve]], metric: str, counted: str = 'epoch'
) -> Figure:
    """Plot mean and deviation over the seeds of each setting.

    Args:
        groups: The curves of the seeds by the name of a setting.
        metric: The name of the values.
        counted: The name of x.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    figure = Figure(figsize=(8, 5), layout='constrained')
    axes = figure.subplots()
    crowded = len(groups) > len(COLOURS)
    for number, (name, curves) in enumerate(groups.items()):
        steps, means, deviations = mean_curve(curves)
        marker = '.' if len(steps) < 30 and not crowded else ''
        axes.plot(steps, means, marker=marker, label=name, **_line(number))
        axes.fill_between(
            steps,
            means - deviations,
            means + deviations,
            color=_line(number)['color'],
            alpha=0.05 if crowded else 0.15,
            linewidth=0,
        )
    axes.set(xlabel=counted, ylabel=f'{metric} (validation)')
    axes.set_title('mean over seeds; the band is one standard deviation', fontsize='small')
    axes.grid(alpha=0.3)
    _name_lines(figure, axes)
    return figure


def plot_against(
    series: Mapping[str, Mapping[float, Sequence[float]]], xlabel: str, metric: str
) -> Figure:
    """Plot a metric against a number, with one standard deviation over the seeds.

    Args:
        series: The values of the seeds, by the name of a line and by x.
        xlabel: The name of x.
        metric: The name of the values.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    for number, (name, points) in enumerate(series.items()):
        found = {x: summarize(values) for x, values in sorted(points.items())}
        axes.errorbar(
            list(found),
            [summary.mean for summary in found.values()],
            yerr=np.nan_to_num([summary.std for summary in found.values()]),
            marker='o',
            capsize=3,
            label=name or None,
            **_line(number),
        )
    _scale_x(axes, [x for points in series.values() for x in points])
    axes.set(xlabel=xlabel, ylabel=metric)
    axes.grid(alpha=0.3)
    if any(series):
        _name_lines(figure, axes)
    return figure


def plot_against_cost(
    series: Mapping[str, Mapping[str, tuple[float, Sequence[float]]]], metric: str
) -> Figure:
    """Plot a metric against the multiplications, with one standard deviation over the seeds.

    Colours distinguish the lines, and markers the models along them, as two may cost the same.

    Args:
        series: Name of each line (empty for a single one, without a line) to the name
            of each point to its GMACs and the values of its seeds.
        metric: The name of the values.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    names = list(dict.fromkeys(point for points in series.values() for point in points))
    markers = {name: MARKERS[number % len(MARKERS)] for number, name in enumerate(names)}
    for number, (line, points) in enumerate(series.items()):
        style = _line(number) if line else {'color': COLOURS[0], 'linestyle': ''}
        ordered = sorted(points, key=lambda name: points[name][0])
        found = [summarize(points[name][1]) for name in ordered]
        axes.errorbar(
            [points[name][0] for name in ordered],
            [summary.mean for summary in found],
            yerr=np.nan_to_num([summary.std for summary in found]),
            capsize=3,
            label=line or None,
            **style,
        )
        for name, summary in zip(ordered, found, strict=True):
            axes.plot(points[name][0], summary.mean, markers[name], color=style['color'])
    _scale_x(axes, [gmacs for points in series.values() for gmacs, _ in points.values()], '.3g')
    axes.set(xlabel='GMACs of one prediction', ylabel=metric)
    axes.grid(alpha=0.3)
    if any(series):
        _add_legend(figure, axes)
    shown = [axes.plot([], [], markers[name], color='0.3', label=name)[0] for name in names]
    columns, _ = _columns(names, figure)
    figure.legend(handles=shown, loc='outside upper center', ncols=columns, fontsize='small')
    return figure


def _line(number: int) -> dict[str, Any]:
    """Return the style of a line: a colour, and dashes if the colours repeat."""
    dashes = DASHES[number // len(COLOURS) % len(DASHES)]
    return {'color': COLOURS[number % len(COLOURS)], 'linestyle': dashes}


def _columns(labels: Sequence[str], figure: Figure) -> tuple[int, int]:
    """Return how many columns and rows a legend over the width of a figure has."""
    inches = 0.7 + 0.07 * max(map(len, labels))  # width of the line and its name
    columns = min(len(labels), max(1, int(figure.get_figwidth() / inches)))
    return columns, math.ceil(len(labels) / columns)


def _name_lines(figure: Figure, axes: Axes) -> None:
    """Write the name of each line at its end, in its colour, or in a legend for many lines."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > NAMED_AT_THE_END:
        _add_legend(figure, axes)
        return
    lines = [handle[0] if isinstance(handle, tuple) else handle for handle in handles]
    low, high = axes.get_ylim()
    heights = _apart([line.get_ydata()[-1] for line in lines], 0.05 * (high - low))
    for line, label, height in zip(lines, labels, heights, strict=True):
        axes.annotate(
            label,
            (1.01, height),
            xycoords=axes.get_yaxis_transform(),  # beside the frame
            va='center',
            fontsize='small',
            color=line.get_color(),
            annotation_clip=False,
        )


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Move numbers apart until neighbours differ by a gap, keeping their order and their mean."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    moved = [float(value) for value in values]
    for _ in range(100):
        for low, high in pairwise(order):
            lack = gap - (moved[high] - moved[low])
            if lack > 1e-9:
                moved[low] -= lack / 2
                moved[high] += lack / 2
    return moved


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Add a legend where there is room for it; the figure grows if needed."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) <= len(COLOURS):
        axes.legend(handles, labels, fontsize='small')
        return
    columns, rows = _columns(labels, figure)
    figure.set_figheight(figure.get_figheight() + 0.2 * rows)
    figure.legend(handles, labels, loc='outside lower center', ncols=columns, fontsize='small')


def _scale_x(axes: Axes, values: Sequence[float], digits: str = 'g') -> None:
    """Use a logarithmic axis for numbers that lie far apart, and label those not too close."""
    every = sorted(set(values))
    if every[0] <= 0 or every[-1] / every[0] < 8:
        return
    apart = (every[-1] / every[0]) ** 0.06
    marked = []
    for x in every:
        if not marked or x >= apart * marked[-1]:
            marked.append(x)
    axes.set_xscale('log')
    axes.set_xticks(marked, [format(x, digits) for x in marked])
    axes.minorticks_off()
