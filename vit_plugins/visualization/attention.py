"""Plot attention on an image, without global state of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .gates import gate_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.95  # inches of a map
FLOOR = 1e-3  # share of the largest value; smaller values have the darkest colour


def plot_attention(
    image: np.ndarray,
    maps: Sequence[np.ndarray],
    layers: Sequence[str],
    gates: Sequence[np.ndarray | None] | None = None,
    query: tuple[float, float] | None = None,
    heads: Sequence[int] | None = None,
) -> Figure:
    """Plot what one token attends to, a row for each layer and a column for each head.

    As in Figs. 3 and 15 of ConViT (arXiv 2103.10697): on a log scale from the largest value of a
    map down to a thousandth of it. Above a map of a gated head is its gate, from dark grey
    (content) to red (position).

    Args:
        image: What the model sees, RGB (H, W, 3), uint8.
        maps: Attention of each layer over its grid, (h, H', W') each.
        layers: Name of each layer.
        gates: Gates (h,) of each layer; None for a layer without.
        query: The position of the token, (x, y) as shares of width and height, marked in the
            image; None for a class token.
        heads: Numbers of the heads that the maps show, for the titles; default: from 1.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    rows, columns = len(maps), max(len(found) for found in maps)
    size = (CELL * (columns + 2.6) + 0.2, CELL * 1.16 * max(rows, 2) + 0.3)
    figure = Figure(figsize=size)
    # placed by hand: matplotlib's layouts take seconds for a hundred panels
    grid = figure.add_gridspec(
        max(rows, 2),
        columns + 3,
        width_ratios=[1, 1, 0.3, *[1] * columns],
        **dict(left=0.01, right=0.99, bottom=0.01, top=1 - 0.25 / size[1]),
        **dict(wspace=0.08, hspace=0.28),
    )
    show_image(figure.add_subplot(grid[:2, :2]), image, query)
    for row, (name, found) in enumerate(zip(layers, maps, strict=True)):
        layer_gates = None if gates is None else gates[row]
        for column, values in enumerate(found):
            axes = figure.add_subplot(grid[row, column + 3])
            largest = max(float(values.max()), 1e-12)
            clipped = np.maximum(values, largest * FLOOR)
            axes.imshow(clipped, norm=LogNorm(largest * FLOOR, largest), cmap='viridis')
            axes.set_axis_off()
            head = heads[column] if heads else column + 1
            title = f'head {head}' if row == 0 else ''
            colour = 'black'
            if layer_gates is not None:
                title = f'{title}  {layer_gates[column]:.2f}'.strip()
                colour = gate_colour(float(layer_gates[column]))
            axes.set_title(title, fontsize=7, color=colour, pad=2)
            if column == 0:
                axes.text(
                    -0.08, 0.5, name, transform=axes.transAxes, fontsize=7, rotation=90,
                    ha='right', va='center',
                )  # fmt: skip
    return figure


def show_image(axes: Axes, image: np.ndarray, query: tuple[float, float] | None = None) -> None:
    """Plot an image without axes, with the position of a query.

    Args:
        axes: The axes to plot into.
        image: RGB (H, W, 3), uint8.
        query: (x, y) as shares of width and height.
    """
    height, width = image.shape[:2]
    axes.imshow(image, interpolation='nearest')
    if query is not None:
        x, y = query[0] * width - 0.5, query[1] * height - 0.5
        axes.plot(x, y, 's', markersize=7, markerfacecolor='none', markeredgecolor='red')
    axes.set_axis_off()


def plot_overlays(
    image: np.ndarray, maps: Sequence[np.ndarray], titles: Sequence[str], columns: int = 6
) -> Figure:
    """Plot maps over an image, each stretched from its smallest to its largest value.

    Args:
        image: What the model sees, RGB (H, W, 3), uint8.
        maps: Maps (H', W') such as those of rollout and GradCAM.
        titles: The title of each map.
        columns: Panels in a row, including the image.
    """
    from matplotlib.figure import Figure

    count = len(maps) + 1
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1.9 * columns, 2.1 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels:
        axes.set_axis_off()
    show_image(panels[0], image)
    panels[0].set_title('image', fontsize='small')
    height, width = image.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    for axes, values, title in zip(panels[1:], maps, titles, strict=False):
        axes.imshow(image, cmap='gray')
        axes.imshow(stretched(values), cmap='inferno', alpha=0.6, extent=extent, vmin=0, vmax=1)
        axes.set_title(title, fontsize='small')
    return figure


def stretched(values: np.ndarray) -> np.ndarray:
    """Return values scaled to the range from 0 to 1; all are 0 if they do not differ.

    Args:
        values: Values of any shape.
    """
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
