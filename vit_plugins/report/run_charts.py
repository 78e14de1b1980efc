"""Arrange the curves of one or several trainings in charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .charts import Chart, Line, line_chart
from .curves import Curves, Points

COLOURS = 8
CLASS_PREFIX = 'f1/'  # the metric ClassF1: a curve for each class, and their mean
MEAN = 'f1/mean'
MOST_LINES = 16


def run_charts(curves: Curves, best: float | None = None) -> list[Chart]:
    """Chart losses, metrics, the F1 of each class and the learning rate of a training.

    A value that was measured only once has no curve.

    Args:
        curves: The values that it logged.
        best: The x of the weights that are shown, which is marked.
    """
    whole = {n: p for n, p in _told(curves).items() if not _is_of_a_class(n)}
    classes = {
        n.removeprefix(CLASS_PREFIX): p for n, p in curves.metrics.items() if _is_of_a_class(n)
    }
    titled = [
        ('Validation', _without_common_prefix(whole)),
        ('Training loss', curves.losses),
        ('F1 of each class', classes if len(classes) <= MOST_LINES else {}),
        ('Learning rate', curves.rates),
    ]
    return [
        line_chart(title, curves.unit, as_lines(group), best)
        for title, group in titled
        if any(len(points) > 1 for points in group.values())
    ]


def compared_charts(runs: Sequence[tuple[str, Curves]]) -> list[Chart]:
    """Chart the loss and each metric of several trainings, a line for each training.

    Args:
        runs: Name and curves of each.
    """
    charts = []
    metrics = dict.fromkeys(n for _, c in runs for n in _told(c) if not _is_of_a_class(n))
    chosen = [(name, lambda c, n=name: c.metrics.get(n)) for name in metrics]
    chosen.append(('Training loss', lambda c: c.losses.get('loss')))
    units = '/'.join(dict.fromkeys(curves.unit for _, curves in runs))
    for title, pick in chosen:
        group = {name: pick(curves) or [] for name, curves in runs}
        if sum(map(bool, group.values())) > 1:
            charts.append(line_chart(title, units, as_lines(group)))
    return charts


def as_lines(group: Mapping[str, Points]) -> list[Line]:
    """Assign each curve a colour, and dashes when the colours are used up.

    Args:
        group: Points by name.
    """
    return [
        Line(name, points, i % COLOURS, i // COLOURS)
        for i, (name, points) in enumerate(group.items())
    ]


def _told(curves: Curves) -> dict[str, Points]:
    """Return the metrics without those that are always zero, as counts of problems are."""
    return {name: points for name, points in curves.metrics.items() if any(y for _, y in points)}


def _without_common_prefix(group: Mapping[str, Points]) -> Mapping[str, Points]:
    prefixes = {name.rpartition('/')[0] for name in group}
    if len(prefixes) > 1 or len(group) == 1:
        return group
    return {name.rpartition('/')[2]: points for name, points in group.items()}


def _is_of_a_class(name: str) -> bool:
    return name.startswith(CLASS_PREFIX) and name != MEAN
