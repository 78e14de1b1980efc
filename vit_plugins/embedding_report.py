"""What the descriptors of a trained model are like: numbers for a table, curves for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint
from mmpretrain import get_model
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from .datasets.image_check import tracked
from .datasets.photo_pipeline import walk
from .evaluation.embedding_statistics import (
    SimilarityHistogram,
    components_for,
    cumulative_energy,
    effective_rank,
    nearest_distances,
    similarity_histogram,
)
from .evaluation.pca import fit_pca
from .evaluation.retrieval_scores import retrieval_scores

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
    """Build the model of a config.

    Args:
        cfg: The config.
        checkpoint: Its weights; None keeps the random ones, those of the config's seed.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If the model gives no descriptors.
    """
    torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    model = get_model(cfg, pretrained=False, device=device)
    if not hasattr(model, 'descriptors'):
        raise ValueError(
            f'{cfg.filename}: a {type(model).__name__} gives no descriptors; '
            'the model must be an EmbeddingRetriever'
        )
    if checkpoint is None:
        model.init_weights()
    else:
        load_checkpoint(model, str(checkpoint), map_location='cpu', logger='silent')
    return model.eval()


def split_loader(cfg: Config, split: str) -> DataLoader:
    """Build the loader of a split; training images go through the test transforms, in order.

    Args:
        cfg: The config.
        split: 'train', 'val' or 'test'.
    """
    loader = deepcopy(cfg.test_dataloader)
    if split != 'test':
        pipeline = next(n.pipeline for n in walk(cfg.test_dataloader.dataset) if 'pipeline' in n)
        loader.dataset = deepcopy(cfg[f'{split}_dataloader'].dataset)
        for node in walk(loader.dataset):
            if 'pipeline' in node:
                node['pipeline'] = deepcopy(pipeline)
    loader.persistent_workers = False
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Runner.build_dataloader(loader)


@torch.no_grad()
def encode(model: BaseModel, loader: DataLoader, title: str = 'Encoding') -> Features:
    """Encode all images of a loader.

    Args:
        model: An ``EmbeddingRetriever``.
        loader: Its images.
        title: What the progress bar calls it.
    """
    values, labels, roles = [], [], []
    for batch in tracked(loader, len(loader), title):
        batch = model.data_preprocessor(batch, False)
        values.append(model.extract_feat(batch['inputs']).float().cpu())
        labels += [int(sample.gt_label) for sample in batch['data_samples']]
        roles += [sample.get('role') for sample in batch['data_samples']]
    roles = np.array(roles, dtype=object)
    return Features(torch.cat(values), np.array(labels), roles != 'gallery', roles != 'query')


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
    for k in dims:
        mean, projection = fit_pca(fitted_on, k)
        projected = (features.values.double() - mean) @ projection.T  # (N, k)
        report.scores[k] = _scores(features, F.normalize(projected), topk)
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
