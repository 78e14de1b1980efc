"""Plot predicted offsets between patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_offsets(
    true: np.ndarray,
    predicted: np.ndarray,
    counts: np.ndarray,
    errors: Sequence[float],
    grid: tuple[int, int],
) -> Figure:
    """Plot true offsets on the grid, each with an arrow to its mean prediction.

    Args:
        true: Offsets (rows, columns) that occur, in cells, shape (k, 2).
        predicted: The mean prediction for each, shape (k, 2).
        counts: The number of pairs with each offset, shape (k,).
        errors: Mean absolute error of rows and of columns over all pairs, in cells.
        grid: Rows and columns of the grid.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    figure = Figure(figsize=(5.2, 4.8), layout='constrained')
    axes = figure.subplots()
    size = 8 + 40 * counts / counts.max()
    axes.scatter(true[:, 1], true[:, 0], s=size, color='C0', label='true', zorder=2)
    delta = predicted - true
    axes.quiver(
        *(true[:, 1], true[:, 0], delta[:, 1], delta[:, 0]),
        **dict(angles='xy', scale_units='xy', scale=1, width=0.004, color='C3', zorder=3),
    )
    axes.plot([], [], color='C3', label='to the mean prediction')
    rows, columns = grid
    low = (0, 0) if true.min() >= 0 else (1 - rows, 1 - columns)
    axes.set(
        xlim=(low[1] - 0.8, columns - 0.2),
        ylim=(rows - 0.2, low[0] - 0.8),
        xlabel='offset of columns in cells',
        ylabel='offset of rows in cells',
        aspect='equal',
    )
    axes.set_title(
        f'mean error {errors[0]:.2f} cells along rows, {errors[1]:.2f} along columns',
        fontsize='small',
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small', loc='lower right')
    return figure


def plot_offset_errors(
    steps: Sequence[float], errors: np.ndarray, xlabel: str = 'epoch'
) -> Figure:
    """Plot how the error of predicted offsets fell in training, for each axis.

    Args:
        steps: The steps at which it was measured, shape (E,).
        errors: Mean absolute error of rows and of columns in cells, shape (E, 2).
        xlabel: The name of a step.
    """
    from matplotlib.figure import Figure

    errors = np.asarray(errors)
    figure = Figure(figsize=(5, 3.2), layout='constrained')
    axes = figure.subplots()
    marker = '.' if len(steps) < 30 else ''
    for name, values in zip(('rows', 'columns'), errors.T, strict=True):
        axes.plot(steps, values, marker=marker, label=f'{name} {values[-1]:.3g}')
    axes.set(xlabel=xlabel, ylabel='error in cells', ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    return figure
