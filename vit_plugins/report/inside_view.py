"""Prepare what a page shows of the inside of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from ..visualization.layer_panels import short_name
from ..visualization.overlay import image_beside_map
from .charts import Chart
from .figures import Figure, answer_figure
from .findings import Findings
from .inside_history import inside_charts
from .thumbnails import embed

PAIR_SIDE = 320  # pixels of an image beside its map


@dataclass(frozen=True)
class HeadRow:
    """The heads of a layer on a scale.

    Attributes:
        layer: Its name.
        values: The value of each head, as text.
        shares: Positions of the heads on the scale, from 0 to 1.
        mean: Their mean, as text.
        mean_share: The position of the mean on the scale.
    """

    layer: str
    values: list[str]
    shares: list[float]
    mean: str
    mean_share: float


@dataclass(frozen=True)
class InsideView:
    """The inside of a model, as a page shows it.

    Attributes:
        gates: A row for each layer with a gate.
        locality: A row for each layer whose attention can be read.
        farthest: The end of the scale of ``locality``, in pixels.
        charts: Their curves over the training.
        wrong: Attention on images that are classified wrongly.
        right: Attention on images that are classified correctly.
        kind: A description of the maps.
    """

    gates: list[HeadRow]
    locality: list[HeadRow]
    farthest: float
    charts: list[Chart]
    wrong: list[Figure]
    right: list[Figure]
    kind: str


def view_inside(found: Findings, classes: Sequence[str]) -> InsideView | None:
    """Choose what to show of the inside of a model.

    Args:
        found: The findings about the training.
        classes: The names of the classes.

    Returns:
        What is shown; None if nothing could be read.
    """
    inside = found.inside
    charts = inside_charts(found.run.folder)
    if inside.gates is None and inside.locality is None and not charts:
        return None
    gates, locality, farthest = [], [], 0.0
    if inside.gates is not None:
        layers = zip(inside.gates.layers, inside.gates.gates, strict=True)
        gates = [_row(name, heads, 1.0, '{:.2f}') for name, heads in layers]
    if inside.locality is not None:
        farthest = max(float(heads.max()) for heads in inside.locality.pixels)
        layers = zip(inside.locality.layers, inside.locality.pixels, strict=True)
        locality = [_row(name, heads, farthest, '{:.1f}') for name, heads in layers]
    figures = [
        answer_figure(
            found,
            one.index,
            classes,
            embed(Image.fromarray(image_beside_map(one.pixels, one.values)), PAIR_SIDE),
        )
        for one in inside.attention
    ]
    return InsideView(
        gates,
        locality,
        farthest,
        charts,
        wrong=[figure for figure in figures if figure.state == 'wrong'],
        right=[figure for figure in figures if figure.state == 'right'],
        kind=inside.kind,
    )


def _row(name: str, heads: Sequence[float], end: float, form: str) -> HeadRow:
    values = [float(value) for value in heads]
    mean = sum(values) / len(values)
    return HeadRow(
        short_name(name),
        [form.format(value) for value in values],
        [value / end for value in values],
        form.format(mean),
        mean / end,
    )
