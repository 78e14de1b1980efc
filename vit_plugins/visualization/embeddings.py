"""Plot statistics of embeddings, without global state of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ..evaluation.functional.embedding_statistics import SimilarityHistogram


def plot_energy(energies: Mapping[str, np.ndarray]) -> Figure:
    """Plot the share of the variance in the first k principal components, k on a log scale.

    As in Figs. 2 and 3 of IRT (arXiv 2102.05644).

    Args:
        energies: Shares for k = 1, 2, …, by name.
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

    As in Fig. 5 of IRT (arXiv 2102.05644).

    Args:
        histograms: Counts by name.
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


def plot_photo_scatter(
    panels: Mapping[str, np.ndarray],
    photos: Sequence[np.ndarray],
    classes: Sequence[str] | None = None,
    zoom: float = 26,
) -> Figure:
    """Plot photos at the points of their embeddings, a panel for each projection to the plane.

    Args:
        panels: Points (N, 2) by the name of a projection, such as PCA or t-SNE.
        photos: The N images, RGB (H, W, 3), uint8.
        classes: The class of each photo, shown as the colour of its frame.
        zoom: Longer side of a photo, in points of the figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = Figure(figsize=(6.2 * len(panels), 6.2), layout='constrained')
    names = sorted(set(classes or ()))
    colours = {name: f'C{number % 10}' for number, name in enumerate(names)}
    for axes, (title, points) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        axes.scatter(points[:, 0], points[:, 1], s=0)  # sets the limits of the axes
        for number, (point, photo) in enumerate(zip(points, photos, strict=True)):
            frame = colours[classes[number]] if classes else '0.6'
            picture = OffsetImage(photo, zoom=zoom / max(photo.shape[:2]))
            look = dict(edgecolor=frame, linewidth=1.5)
            axes.add_artist(AnnotationBbox(picture, point, pad=0.06, bboxprops=look))
        axes.margins(0.06)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize='medium')
    if 1 < len(names) <= 20:
        handles = [axes.plot([], [], 's', color=colours[n], label=n)[0] for n in names]
        columns = min(len(names), 10)
        figure.legend(handles=handles, loc='outside lower center', ncols=columns, fontsize='small')
    return figure
