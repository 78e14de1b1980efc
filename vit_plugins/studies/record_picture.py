"""Plot the picture of a study on a page, and check that it still shows the records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..visualization.curves import plot_against
from .grid import Study
from .pictures import level_series
from .report import group_records

SHOWN = 'Shown'  # the entry of the PNG file that holds the digest of the shown records


def plot_records(study: Study, records: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Plot the metric of a study against the axis that it names in `plot`.

    Args:
        study: The study, of one metric.
        records: Name of each finished cell to its record.
        path: The PNG file.
    """
    series = _series(study, records)
    figure = plot_against(series, study.plot['label'], study.metrics[0])
    figure.savefig(path, dpi=120, metadata={SHOWN: _digest(series)})


def is_plotted(study: Study, records: Mapping[str, Mapping[str, Any]], path: Path) -> bool:
    """Return whether a picture shows these records; its digest is compared, not its pixels.

    Args:
        study: The study, of one metric.
        records: Name of each finished cell to its record.
        path: The PNG file.
    """
    from PIL import Image

    if not path.is_file():
        return False
    with Image.open(path) as image:
        return image.info.get(SHOWN) == _digest(_series(study, records))


def _series(
    study: Study, records: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[float, list[float]]]:
    return level_series(study, group_records(study, records), study.metrics[0])


def _digest(series: Mapping[str, Mapping[float, list[float]]]) -> str:
    text = json.dumps([[name, sorted(points.items())] for name, points in series.items()])
    return hashlib.sha256(text.encode()).hexdigest()
