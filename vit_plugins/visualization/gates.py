"""Plot gates of GPSA layers, without global state of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .layer_panels import layer_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INITIAL_GATE = 0.7310586  # σ(1)
POSITION, CONTENT = (0.8, 0.0, 0.0), (0.2, 0.2, 0.2)  # colours of a gate of 1 and of 0


def gate_colour(gate: float) -> tuple[float, float, float]:
    """Return the colour of a head's title: from dark grey (content) to red (position).

    Args:
        gate: The share of position, in [0, 1].
    """
    return tuple(gate * p + (1 - gate) * c for p, c in zip(POSITION, CONTENT, strict=True))


def plot_gates(gates: np.ndarray, layers: Sequence[str] | None = None) -> Figure:
    """Plot the gates of a model as a table of layers and heads.

    Args:
        gates: Share of position, shape (L, h).
        layers: Names of the layers; default: their numbers from 1.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    gates = np.asarray(gates)
    rows, heads = gates.shape
    figure = Figure(figsize=(1.8 + 0.5 * heads, max(1.2 + 0.34 * rows, 2.6)), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(gates, cmap='Reds', vmin=0, vmax=1, aspect='auto')
    for row, column in np.ndindex(rows, heads):
        value = gates[row, column]
        colour = 'white' if value > 0.6 else 'black'
        axes.text(column, row, f'{value:.2f}', ha='center', va='center', color=colour, fontsize=8)
    axes.set_xticks(range(heads), range(1, heads + 1))
    axes.set_yticks(range(rows), layers or range(1, rows + 1))
    axes.set(xlabel='head', ylabel='GPSA layer')
    figure.colorbar(shown, ax=axes, label='gate (1: position)')
    return figure


def plot_gate_dynamics(
    steps: Sequence[float],
    gates: np.ndarray,
    layers: Sequence[str] | None = None,
    xlabel: str = 'epoch',
) -> Figure:
    """Plot how the gates changed in training: heads in colours, their mean in black.

    As in Figs. 6 and 14 of ConViT (arXiv 2103.10697), with a panel for each layer.

    Args:
        steps: The steps at which they were measured, shape (E,).
        gates: Share of position, shape (E, L, h).
        layers: Names of the layers; default: their numbers from 1.
        xlabel: The name of a step.
    """
    gates = np.asarray(gates)
    names = layers or [f'layer {number + 1}' for number in range(gates.shape[1])]
    figure, panels = layer_panels(names, xlabel, 'gate')
    for number, axes in enumerate(panels):
        axes.axhline(INITIAL_GATE, color='0.8', linewidth=0.8)
        marker = '.' if len(steps) < 2 else ''
        axes.plot(steps, gates[:, number], linewidth=1, marker=marker)
        axes.plot(steps, gates[:, number].mean(-1), color='black', linewidth=2, marker=marker)
        axes.set_ylim(-0.03, 1.03)
    return figure
