"""Pictures: arrays in, figure out. No model, no runner, no global state of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ..evaluation.functional.embedding_statistics import SimilarityHistogram

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


def draw_energy(energies: Mapping[str, np.ndarray]) -> Figure:
    """Draw the share of the variance in the first k principal components, k on a log scale.

    As Figs. 2 and 3 of IRT (arXiv 2102.05644).

    Args:
        energies: Name to shares for k = 1, 2, …
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for name, energy in energies.items():
        axes.plot(range(1, len(energy) + 1), energy, label=name)
    axes.set_xscale('log', base=2)
    axes.set(xlabel='principal components', ylabel='cumulative energy', ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    return figure


def draw_similarities(histograms: Mapping[str, SimilarityHistogram]) -> Figure:
    """Draw the cosines of positive and negative pairs, a panel for each model.

    As Fig. 5 of IRT (arXiv 2102.05644).

    Args:
        histograms: Name to counts.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.5 + 1.8 * len(histograms)), layout='constrained')
    panels = figure.subplots(len(histograms), sharex=True, squeeze=False)[:, 0]
    for axes, (name, found) in zip(panels, histograms.items(), strict=True):
        for kind in ('negatives', 'positives'):
            counts = getattr(found, kind)
            axes.stairs(
                counts / max(counts.sum(), 1), found.edges, fill=True, alpha=0.5, label=kind
            )
        axes.set_ylabel(name)
        axes.set_yticks([])
        axes.legend(fontsize='small')
    panels[-1].set_xlabel('cosine similarity')
    return figure
