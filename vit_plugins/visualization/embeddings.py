"""What embeddings are like: arrays in, figure out. No global state of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ..evaluation.functional.embedding_statistics import SimilarityHistogram


def plot_energy(energies: Mapping[str, np.ndarray]) -> Figure:
    """Plot the share of the variance in the first k principal components, k on a log scale.

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


def plot_similarities(histograms: Mapping[str, SimilarityHistogram]) -> Figure:
    """Plot the cosines of positive and negative pairs, a panel for each model.

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
