"""Plot position embeddings and patch filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .attention import stretched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MAPS = 14  # maps along a side of the grid; of more, only some are shown


def plot_position_similarity(similarity: np.ndarray) -> Figure:
    """Plot how similar position embeddings are, as a map over the grid for each patch.

    As in Fig. 7 (middle) of ViT (arXiv 2010.11929).

    Args:
        similarity: Cosines, shape (H, W, H, W).
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    height, width = similarity.shape[:2]
    step = -(-max(height, width) // MOST_MAPS)
    chosen = similarity[::step, ::step]
    rows, columns = chosen.shape[:2]
    # One image of all maps, with a gap of one cell, instead of hundreds of panels.
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for row, column in np.ndindex(rows, columns):
        y, x = row * (height + 1), column * (width + 1)
        canvas[y : y + height, x : x + width] = chosen[row, column]
    figure = Figure(figsize=(6.2, 5.4), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(canvas, vmin=-1, vmax=1, cmap='viridis', interpolation='nearest')
    names = [np.arange(0, side, step) + 1 for side in (height, width)]
    axes.set_yticks(np.arange(rows) * (height + 1) + (height - 1) / 2, names[0])
    axes.set_xticks(np.arange(columns) * (width + 1) + (width - 1) / 2, names[1])
    axes.set(xlabel='column of the patch', ylabel='row of the patch')
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(shown, ax=axes, label='cosine similarity')
    return figure


def plot_filters(components: np.ndarray, shares: Sequence[float], columns: int = 7) -> Figure:
    """Plot the principal components of patch filters as small pictures.

    As in Fig. 7 (left) of ViT (arXiv 2010.11929); grey is 0, and each has a scale of its own.

    Args:
        components: Shape (n, C, kh, kw) with C = 3 (RGB) or 1.
        shares: Share of the variance of each component, for the titles.
        columns: Pictures in a row.
    """
    from matplotlib.figure import Figure

    rows = -(-len(components) // columns)
    figure = Figure(figsize=(1.05 * columns, 1.2 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels:
        axes.set_axis_off()
    for axes, component, share in zip(panels, components, shares, strict=False):
        picture = component.transpose(1, 2, 0)  # (C, kh, kw) -> (kh, kw, C)
        largest = np.abs(picture).max() or 1.0
        axes.imshow(stretched(np.append(picture / largest, [-1, 1]))[:-2].reshape(picture.shape),
                    cmap='gray', vmin=0, vmax=1)  # fmt: skip
        axes.set_title(f'{share:.1%}', fontsize=7, pad=2)
    return figure
