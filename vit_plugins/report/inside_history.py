"""Chart gates, locality and offset errors over a training, as its hooks measured them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..visualization.layer_panels import short_name
from ..visualization.measured_history import OFFSET_ERROR, History, read_histories
from .charts import Chart
from .curves import Points
from .run_charts import as_lines, line_chart

# The names of the hooks' NAME.json, and the titles of their charts; each layer is a line.
BY_LAYER = {
    'gates': ('gates', 'Mean gate of each layer'),
    'nonlocality_propagated': ('nonlocality', 'Non-locality of each layer, in patches'),
    'nonlocality_official': (
        'nonlocality',
        'Non-locality of each layer, in patches, as the released code measures it',
    ),
}


def inside_charts(work_dir: str | Path) -> list[Chart]:
    """Chart the measurements of a training's hooks; return no chart if it had no such hook.

    Args:
        work_dir: Its work dir.
    """
    charts = []
    for name, history in read_histories(work_dir).items():
        if name == OFFSET_ERROR:
            title, group = 'Error of predicted offsets, in cells', _axes(history)
        else:
            key, title = BY_LAYER[name]
            group = _layer_means(history, key)
        if any(group.values()):
            charts.append(line_chart(title, history.counted, as_lines(group)))
    return charts


def _axes(history: History) -> dict[str, Points]:
    return {
        axis: _finite(zip(history.steps, history.values(axis), strict=True))
        for axis in ('rows', 'columns')
    }


def _layer_means(history: History, key: str) -> dict[str, Points]:
    names = map(short_name, history.points[0]['layers'])
    return {
        name: _finite(
            (point['step'], np.mean(np.array(point[key][layer], float)))
            for point in history.points
        )
        for layer, name in enumerate(names)
    }


def _finite(points: Iterable[tuple[int, float | None]]) -> Points:
    """Leave out values that are no numbers: a training that diverged has written null."""
    return [(step, float(y)) for step, y in points if y is not None and np.isfinite(y)]
