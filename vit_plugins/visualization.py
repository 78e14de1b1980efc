"""Pictures: arrays in, figure out. No model, no runner, no global state of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]


def draw_learning_curve(
    losses: Mapping[str, Curve], metrics: Mapping[str, Curve], xlabel: str = 'epoch'
) -> Figure:
    """Draw how losses fell and metrics rose.

    Args:
        losses: Name to (step, value) points, for the upper panel.
        metrics: The same, for the lower panel; the last value is written beside the name. A
            panel without curves is left out.
        xlabel: What a step is.

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
