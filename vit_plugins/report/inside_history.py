"""How gates, locality and offset errors went in a training, as its hooks wrote them down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..visualization.layer_panels import short_name
from .charts import Chart
from .curves import Points
from .run_charts import as_lines, line_chart

# What hooks write into NAME.json, and what their charts are called; each layer is a line.
BY_LAYER = {
    'gates': ('gates', 'Mean gate of each layer'),
    'nonlocality_propagated': ('nonlocality', 'Non-locality of each layer, in patches'),
    'nonlocality_official': (
        'nonlocality',
        'Non-locality of each layer, in patches, as the released code measures it',
    ),
}
OFFSETS = 'offset_error'


def inside_charts(work_dir: str | Path) -> list[Chart]:
    """Chart what the measuring hooks of a training wrote; nothing where it had none.

    Args:
        work_dir: Its work dir.
    """
    charts = []
    for name, (key, title) in BY_LAYER.items():
        if history := _read(Path(work_dir, f'{name}.json')):
            group = _layer_means(history, key)
            charts.append(line_chart(title, history['counted'], as_lines(group)))
    if history := _read(Path(work_dir, f'{OFFSETS}.json')):
        axes = [key for key in history['points'][0] if key != 'step']
        group = {key: _finite((p['step'], p[key]) for p in history['points']) for key in axes}
        title = 'Error of predicted offsets, in cells'
        charts.append(line_chart(title, history['counted'], as_lines(group)))
    return charts


def _layer_means(history: Mapping, key: str) -> dict[str, Points]:
    names = map(short_name, history['points'][0]['layers'])
    return {
        name: _finite(
            (point['step'], np.mean(np.array(point[key][layer], float)))
            for point in history['points']
        )
        for layer, name in enumerate(names)
    }


def _finite(points: Iterable[tuple[int, float | None]]) -> Points:
    """Leave out what is no number: a training that diverged has written null."""
    return [(step, float(y)) for step, y in points if y is not None and np.isfinite(y)]


def _read(file: Path) -> Mapping | None:
    try:
        history = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return history if history.get('points') else None
