"""Make a figure with a small panel for each layer of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 5


def layer_panels(names: Sequence[str], xlabel: str, ylabel: str) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure with panels that share their axes.

    Args:
        names: Titles of the panels.
        xlabel: The name of x.
        ylabel: The name of y.

    Returns:
        The figure and a panel for each name.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    columns = min(len(names), MOST_COLUMNS)
    rows = math.ceil(len(names) / columns)
    size = (max(2.1 * columns, 3.2) + 0.6, 1.7 * rows + 0.6)
    figure = Figure(figsize=size, layout='constrained')
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = grid.flatten()
    for axes in panels[len(names) :]:
        axes.remove()
    for name, axes in zip(names, panels, strict=False):
        axes.set_title(name, fontsize='small')
        axes.grid(alpha=0.3)
    figure.supxlabel(xlabel, fontsize='medium')
    figure.supylabel(ylabel, fontsize='medium')
    return figure, panels[: len(names)]


def short_name(name: str) -> str:
    """Return the name of a layer for a picture, with numbers from 1.

    Args:
        name: The name of the attention module within the backbone.

    >>> short_name('layers.3.attn'), short_name('stages.0.blocks.1.attn')
    ('layer 4', 'stage 1.2')
    """
    name = name.removesuffix('.attn')
    if match := re.fullmatch(r'(?:layers|encoder)\.(\d+)', name):
        return f'layer {int(match[1]) + 1}'
    if match := re.fullmatch(r'stages?\.?(\d+)\.blocks\.(\d+)', name):
        return f'stage {int(match[1]) + 1}.{int(match[2]) + 1}'
    return name
