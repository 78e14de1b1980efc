"""Score frozen features: by a search, and by classifiers photo by photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.splitting import stratified_split
from ...evaluation.functional.embedding_statistics import effective_rank, nearest_distances
from ...evaluation.functional.probes import (
    Standardizer,
    accuracy,
    logistic_fit,
    nearest_mean_predict,
)
from ...evaluation.functional.retrieval_ranking import iterate_positive_ranks

Vectors = Mapping[str, Tensor]
Predict = Callable[[Tensor], Tensor]


def search_scores(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    """Compute search scores of descriptors; each is searched among all others by cosine.

    Args:
        vectors: Shape (N, D), of any length.
        labels: Shape (N,).

    Returns:
        ``Recall@1`` in percent, where a tie counts as wrong; ``by_class``, the same for each
        class; ``effective_rank`` and ``nearest`` (mean distance to the nearest) of unit vectors.
    """
    hits = np.zeros(len(labels))
    for ranks in iterate_positive_ranks(vectors, labels, best_only=True):
        hits[ranks.queries] = 100.0 * (ranks.pessimistic[:, 0] < 1)
    classes = labels.unique().tolist()
    unit = torch.nn.functional.normalize(vectors, dim=1)
    return {
        'Recall@1': float(hits.mean()),
        'by_class': [float(hits[(labels == label).numpy()].mean()) for label in classes],
        'effective_rank': effective_rank(unit),
        'nearest': float(nearest_distances(unit).mean()),
    }


def fit_linear(vectors: Tensor, labels: Tensor, classes: int, penalty: float) -> Predict:
    """Fit logistic regression on standardised features.

    Args:
        vectors: Shape (N, D).
        labels: Shape (N,).
        classes: Number of classes.
        penalty: λ.
    """
    scale = Standardizer.of(vectors)
    fitted = logistic_fit(scale(vectors), labels, classes, penalty)
    return lambda queries: fitted.predict(scale(queries))


def fit_nearest_mean(vectors: Tensor, labels: Tensor, classes: int) -> Predict:
    """Fit the classifier by the nearest class mean.

    Args:
        vectors: Shape (N, D).
        labels: Shape (N,).
        classes: Number of classes.
    """
    return lambda queries: nearest_mean_predict(queries, vectors, labels, classes)


def fit_trees(vectors: Tensor, labels: Tensor, trees: int, seed: int) -> Predict:
    """Fit extremely randomised trees.

    Args:
        vectors: Shape (N, D).
        labels: Shape (N,).
        trees: Number of trees.
        seed: The seed of the trees.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(trees, random_state=seed).fit(vectors.numpy(), labels.numpy())
    return lambda queries: torch.from_numpy(forest.predict(queries.numpy()))


def choose(
    candidates: Sequence[tuple[str, float | None]],
    fit: Callable[[Tensor, Tensor, float | None], Predict],
    vectors: Vectors,
    labels: Tensor,
    names: Sequence[str],
) -> tuple[str, float | None]:
    """Choose pooling and penalty on a fifth of the training photos; of equals the first.

    Args:
        candidates: Pairs of a pooling and a penalty.
        fit: Fits a classifier to features and labels with a penalty.
        vectors: Name of each pooling to the features of the training photos.
        labels: The classes of the photos.
        names: The names of the photos, which decide the fifth.
    """
    kept, held = stratified_split(names, labels.tolist(), 0.2)
    found = {}
    for pooling, penalty in candidates:
        predict = fit(vectors[pooling][kept], labels[kept], penalty)
        predicted = predict(vectors[pooling][held])
        found[pooling, penalty] = accuracy(predicted, labels[held])
    return max(found, key=found.get)


def colour_histogram(images: Tensor, bins: int = 8) -> Tensor:
    """Return the share of pixels of each colour; red, green and blue are divided in equal steps.

    Args:
        images: uint8, shape (B, 3, H, W).
        bins: Number of steps of a channel, a divisor of 256.

    Returns:
        float32, shape (B, bins³).

    >>> colour_histogram(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), 2)
    tensor([[1., 0., 0., 0., 0., 0., 0., 0.]])
    """
    red, green, blue = (images // (256 // bins)).long().flatten(2).unbind(1)  # each (B, H·W)
    colour = (red * bins + green) * bins + blue
    counts = [image.bincount(minlength=bins**3) for image in colour]
    return torch.stack(counts).float() / colour.shape[1]
