"""Plot how far heads look, without global state of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODES = {
    'propagated': 'each layer reads what the layers before it leave',
    'official': "each layer reads the patch embedding, as in ConViT's released code",
}


def plot_nonlocality(
    values: Sequence[np.ndarray],
    mode: str,
    uniform: Sequence[float] | None = None,
    layers: Sequence[str] | None = None,
    unit: str = 'patches',
) -> Figure:
    """Plot how far each head of each layer looks.

    As in Fig. 7 (right) of ViT, or Eq. 8 of ConViT at one step.

    Args:
        values: Non-locality of the heads (h,) of each layer; or distances in pixels.
        mode: The input of the layers, ``'propagated'`` or ``'official'``; the title names it.
        uniform: The value of each layer for uniform attention, shown as a line.
        layers: Names of the layers; default: their numbers from 1.
        unit: The unit of the values.
    """
    from matplotlib.figure import Figure  # the object interface: no display, no pyplot state

    _check_mode(mode)
    figure = Figure(figsize=(max(4.5, 1.6 + 0.42 * len(values)), 3.6), layout='constrained')
    axes = figure.subplots()
    places = np.arange(1, len(values) + 1)
    for place, heads in zip(places, values, strict=True):
        axes.plot([place] * len(heads), heads, 'o', color='C0', markersize=4, alpha=0.6)
    axes.plot(places, [np.mean(heads) for heads in values], color='black', label='mean of heads')
    if uniform is not None:
        axes.plot(places, uniform, '--', color='0.5', label='attention to all alike')
    axes.set_xticks(places, layers or places, rotation=90 if layers else 0, fontsize='small')
    axes.set(xlabel='layer', ylabel=f'distance in {unit}', ylim=(0, None))
    axes.set_title(f'{mode}: {MODES[mode]}', fontsize='small')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    return figure


def plot_nonlocality_dynamics(
    models: Mapping[str, tuple[Sequence[float], np.ndarray]],
    mode: str,
    uniform: float | None = None,
    xlabel: str = 'epoch',
) -> Figure:
    """Plot how the non-locality of each layer changed in training, models side by side.

    As in Fig. 5 of ConViT (arXiv 2103.10697): a line for each layer, from dark (first) to light.

    Args:
        models: Steps (E,) and the mean over heads of each layer (E, L), by the name of a model.
        mode: The mode in which all were measured, ``'propagated'`` or ``'official'``.
        uniform: Non-locality of uniform attention, shown as a line.
        xlabel: The name of a step.
    """
    from matplotlib.figure import Figure

    _check_mode(mode)
    figure = Figure(figsize=(1 + 3.4 * len(models), 3.6), layout='constrained')
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, (name, (steps, values)) in zip(panels, models.items(), strict=True):
        _plot_layers(axes, steps, np.asarray(values))
        if uniform is not None:
            axes.axhline(uniform, color='0.5', linestyle='--', linewidth=0.8)
        axes.set_title(name, fontsize='medium')
        axes.set_xlabel(xlabel)
        axes.grid(alpha=0.3)
        axes.legend(fontsize='x-small', ncols=2, title='layer', title_fontsize='x-small')
    panels[0].set_ylabel('non-locality in patches')
    figure.suptitle(f'{mode}:\n{MODES[mode]}', fontsize='small')
    return figure


def _plot_layers(axes: Axes, steps: Sequence[float], values: np.ndarray) -> None:
    from matplotlib import colormaps

    count = values.shape[1]
    colours = colormaps['viridis'](np.linspace(0, 0.9, count))
    for number in range(count):
        marker = '.' if len(steps) < 2 else ''
        axes.plot(steps, values[:, number], color=colours[number], label=number + 1, marker=marker)


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f'mode must be one of {", ".join(MODES)}, got {mode!r}')
