"""Measure the descriptors of a trained model: numbers for a table, curves for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional as F

from ..evaluation.functional.embedding_statistics import (
    SimilarityHistogram,
    components_for,
    cumulative_energy,
    effective_rank,
    nearest_distances,
    similarity_histogram,
)
from ..evaluation.functional.pca import fit_pca
from ..evaluation.functional.retrieval_scores import retrieval_scores
from ..models.retrievers import EmbeddingRetriever
from .features import Features
from .loading import load_trained

ENERGIES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class EmbeddingReport:
    """The measurements of one model.

    Attributes:
        effective_rank: exp of the entropy of the covariance's eigenvalues.
        components: Principal components that hold 50, 90 and 99 % of the variance.
        nearest_distance: Mean distance of a descriptor to the nearest other one.
        energy: Share of the variance in the first k components.
        similarities: Cosines of positive and negative pairs.
        scores: Dimensions (0: all, without PCA) to metric to percent.
    """

    effective_rank: float
    components: list[int]
    nearest_distance: float
    energy: np.ndarray
    similarities: SimilarityHistogram
    scores: dict[int, dict[str, float]] = field(default_factory=dict)


def load_encoder(
    cfg: Config, checkpoint: str | Path | None, device: str | None = None
) -> BaseModel:
    """Build the image encoder of a config's model, without its head and its PCA.

    Args:
        cfg: The config.
        checkpoint: Its weights; None for the weights that a training would start from.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If the model gives no descriptors, or the checkpoint does not fit.
    """

    def leave_out(model: BaseModel) -> None:
        if not isinstance(model, EmbeddingRetriever):
            raise ValueError(
                f'{cfg.filename}: a {type(model).__name__} gives no descriptors; '
                'the model must be an EmbeddingRetriever'
            )
        model.head = model.pca = model.momentum_encoder = None

    return load_trained(cfg, checkpoint, device, prepare=leave_out)[0]


def analyze(
    features: Features,
    fitted_on: Tensor | None = None,
    dims: Sequence[int] = (),
    topk: Sequence[int] = (1, 2, 4, 8),
) -> EmbeddingReport:
    """Compute all measurements that are reported of one model.

    Energy and effective rank are those of the centred covariance of l2-normalised features.

    Args:
        features: Features of the images to search, (N, D).
        fitted_on: Features of other images, (M, D), to fit PCA on.
        dims: Numbers of principal components to project to before the search.
        topk: The K of Recall@K.

    Raises:
        ValueError: If ``dims`` are given without features to fit on.
    """
    if dims and fitted_on is None:
        raise ValueError('PCA needs features to fit on: give fitted_on')
    descriptors = F.normalize(features.values)
    energy = cumulative_energy(descriptors)
    report = EmbeddingReport(
        effective_rank=effective_rank(descriptors),
        components=components_for(energy, ENERGIES),
        nearest_distance=float(nearest_distances(descriptors).mean()),
        energy=energy.numpy(),
        similarities=similarity_histogram(*_sides(features, descriptors)),
    )
    report.scores[0] = _scores(features, descriptors, topk)
    if dims:
        mean, projection = fit_pca(fitted_on, max(dims))
        projected = (features.values.double() - mean) @ projection.T  # (N, k)
        report.scores.update(
            {k: _scores(features, F.normalize(projected[:, :k]), topk) for k in dims}
        )
    return report


def _sides(features: Features, descriptors: Tensor) -> tuple:
    """Return queries and their labels, then the gallery and its labels if it is another set."""
    labels, queries, gallery = features.labels, features.queries, features.gallery
    if queries.all() and gallery.all():
        return descriptors, labels
    return descriptors[queries], labels[queries], descriptors[gallery], labels[gallery]


def _scores(features: Features, descriptors: Tensor, topk: Sequence[int]) -> dict[str, float]:
    sides = _sides(features, descriptors)
    found = retrieval_scores(*sides, topk=topk, metrics=('Recall', 'MAP@R'))
    return {name: 100 * value for name, value in found.pessimistic.items()}


def as_table(reports: dict[str, EmbeddingReport]) -> str:
    """Write the reports as a Markdown table, a row for each model and number of dimensions.

    Args:
        reports: Name of a model to its report.
    """
    names = list(next(iter(reports.values())).scores[0])
    head = ['model', 'dims', *names, 'effective rank', 'k at 50/90/99 %', 'nearest']
    lines = [head, ['---'] * len(head)]
    for name, report in reports.items():
        spread = [
            f'{report.effective_rank:.1f}',
            '/'.join(map(str, report.components)),
            f'{report.nearest_distance:.3f}',
        ]
        for dims, scores in report.scores.items():
            size = f'PCA {dims}' if dims else str(len(report.energy))
            cells = [f'{scores[n]:.2f}' for n in names]
            lines.append([name, size, *cells, *(['', '', ''] if dims else spread)])
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
