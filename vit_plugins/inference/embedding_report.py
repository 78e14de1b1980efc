"""What the descriptors of a trained model are like: numbers for a table, curves for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain import get_model
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ..engine.hooks.fit_pca_hook import collect_features, split_loader
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
from ..weights.loading import load_weights

ENERGIES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Features:
    """The images of a split as a model encodes them.

    Attributes:
        values: Pooled, before PCA and normalisation, (N, D).
        labels: Their classes, (N,).
        queries: Which are searched for, bool (N,); all are if the set has no queries of its own.
        gallery: Which are searched among.
    """

    values: Tensor
    labels: np.ndarray
    queries: np.ndarray
    gallery: np.ndarray


@dataclass(frozen=True)
class EmbeddingReport:
    """What was found out about one model.

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
    """Build what encodes images in the model of a config; its head and its PCA are left out.

    Args:
        cfg: The config.
        checkpoint: Its weights; None takes those that a training would start from: the ones that
            the config names, else random ones by its seed.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If the model gives no descriptors, or the checkpoint does not fit.
    """
    torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    model = get_model(cfg, pretrained=False, device=device)
    if not isinstance(model, EmbeddingRetriever):
        raise ValueError(
            f'{cfg.filename}: a {type(model).__name__} gives no descriptors; '
            'the model must be an EmbeddingRetriever'
        )
    if checkpoint is None:
        model.init_weights()
    model.head = model.pca = model.momentum_encoder = None
    if checkpoint is not None:
        found = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
        load_weights(model, found, f'{checkpoint}, with {cfg.filename},')
    return model.eval()


def read_split(cfg: Config, split: str) -> DataLoader:
    """Build the loader of a split; training images go through the test transforms, in order.

    Args:
        cfg: The config.
        split: 'train', 'val' or 'test'.

    Raises:
        ValueError: If the config has no such split.
    """
    loader = {**split_loader(cfg, split, cfg.test_dataloader), 'persistent_workers': False}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Runner.build_dataloader(loader)


def encode(model: BaseModel, loader: DataLoader) -> Features:
    """Encode all images of a loader.

    Args:
        model: An ``EmbeddingRetriever``.
        loader: Its images.

    Raises:
        ValueError: If they have no classes.
    """
    found = collect_features(model, loader)
    if 'gt_label' not in found:
        raise ValueError(
            f'the images of {type(loader.dataset).__name__} have no class labels, which tell '
            'positives from negatives: choose another split or config'
        )
    roles = found['role']
    values = torch.from_numpy(found['embedding'])
    return Features(values, found['gt_label'], roles != 'gallery', roles != 'query')


def analyze(
    features: Features,
    fitted_on: Tensor | None = None,
    dims: Sequence[int] = (),
    topk: Sequence[int] = (1, 2, 4, 8),
) -> EmbeddingReport:
    """Compute all that is reported of one model.

    Energy and effective rank are those of the centred covariance of l2-normalised features.

    Args:
        features: Of the images to search.
        fitted_on: Features of other images, (M, D), to fit PCA on.
        dims: Numbers of components to project to before searching.
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
    """Give queries and their labels, then the gallery and its labels if it is another set."""
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
