"""Simple classifiers on frozen features: nearest neighbours, least squares, logistic regression.

All process the features in chunks. In addition to features and labels, memory is bounded by the
chunk and by the square of the number of dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .similarities import similarities

CHUNK = 4096


@dataclass(frozen=True)
class Standardizer:
    """Scale features to mean 0 and deviation 1.

    Attributes:
        mean: Mean of each dimension, (D,).
        scale: Deviation of each dimension, (D,); 1 if it is 0.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Standardizer:
        """Compute mean and deviation of features.

        Args:
            features: The training features, (N, D).
        """
        mean = sum(chunk.double().sum(0) for chunk in features.split(CHUNK)) / len(features)
        squares = ((chunk.double() - mean).square().sum(0) for chunk in features.split(CHUNK))
        deviation = (sum(squares) / len(features)).sqrt()
        scale = torch.where(deviation > 1e-8 * deviation.max(), deviation, 1.0)
        return cls(mean.to(features), scale.to(features))

    def __call__(self, features: Tensor) -> Tensor:
        """Scale other features in the same way.

        Args:
            features: (M, D).
        """
        return (features - self.mean) / self.scale


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier with the scores ``features @ weight + bias``.

    Attributes:
        weight: (D, K).
        bias: (K,).
    """

    weight: Tensor
    bias: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Return the score of each class, (M, K).

        Args:
            features: (M, D).
        """
        chunks = features.split(CHUNK)
        return torch.cat([chunk.to(self.weight) @ self.weight + self.bias for chunk in chunks])

    def predict(self, features: Tensor) -> Tensor:
        """Return the class of each feature, (M,).

        Args:
            features: (M, D).
        """
        return self.scores(features).argmax(1)


def nearest_neighbors(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest neighbours by cosine, with one chunk of each side at a time.

    Args:
        queries: (M, D).
        gallery: (N, D).
        k: The number of neighbours.

    Returns:
        Cosines (M, k), largest first, and indices (M, k) into the gallery.

    Raises:
        ValueError: If k does not lie within 1..N.
    """
    if not 1 <= k <= len(gallery):
        raise ValueError(f'k must lie within 1..{len(gallery)}, the images to train on, got {k}')
    found = []
    for query in queries.split(CHUNK):
        query = F.normalize(query, dim=1)
        cosines = query.new_empty(len(query), 0)
        indices = torch.empty(len(query), 0, dtype=torch.long, device=query.device)
        for start in range(0, len(gallery), CHUNK):
            more = similarities(query, F.normalize(gallery[start : start + CHUNK], dim=1))
            place = torch.arange(start, start + more.shape[1], device=query.device)
            cosines = torch.cat([cosines, more], 1)
            indices = torch.cat([indices, place.expand(len(query), -1)], 1)
            cosines, kept = cosines.topk(min(k, cosines.shape[1]), 1)
            indices = indices.gather(1, kept)
        found.append((cosines, indices))
    return torch.cat([c for c, _ in found]), torch.cat([i for _, i in found])


def knn_predict(
    queries: Tensor,
    gallery: Tensor,
    labels: Tensor,
    k: int = 20,
    temperature: float | None = 0.07,
) -> Tensor:
    """Return the majority class of the k nearest neighbours by cosine.

    Args:
        queries: (M, D).
        gallery: (N, D).
        labels: Classes of the gallery, (N,).
        k: The number of neighbours that vote.
        temperature: The weight of a vote is exp(cosine / temperature), as in Z. Wu et al. (2018)
            and DINO; None: all votes have the same weight.

    Returns:
        The class of each query, (M,); the lower number if votes are equal.
    """
    cosines, indices = nearest_neighbors(queries, gallery, k)
    # minus the largest, or float32 would overflow at small temperatures
    weights = cosines - cosines[:, :1]
    weights = torch.ones_like(cosines) if temperature is None else (weights / temperature).exp()
    votes = weights.new_zeros(len(queries), int(labels.max()) + 1)
    return votes.scatter_add_(1, labels[indices], weights).argmax(1)


def nearest_mean_predict(
    queries: Tensor, features: Tensor, labels: Tensor, num_classes: int
) -> Tensor:
    """Return the class with the nearest mean by cosine, for features of unit length.

    Args:
        queries: (M, D).
        features: The features to average, (N, D), at least one of each class.
        labels: Their classes, (N,).
        num_classes: The number of classes, K.

    Returns:
        The class of each query, (M,).
    """
    sums = features.new_zeros(num_classes, features.shape[1])
    sums.index_add_(0, labels, F.normalize(features, dim=1))
    return (F.normalize(queries, dim=1) @ F.normalize(sums, dim=1).T).argmax(1)


def ridge_fit(
    features: Tensor, labels: Tensor, num_classes: int, penalty: float = 1.0
) -> LinearClassifier:
    r"""Solve regularised least squares to targets of -1 and 1, in closed form.

    :math:`\sum_n \|x_n W + b - t_n\|^2 + \lambda \|W\|^2` with t 1 for the own class and -1 for
    the others: the few-shot accuracy of the ViT paper (A. Dosovitskiy et al., ICLR 2021, section
    4.1). In float64.

    Args:
        features: (N, D).
        labels: (N,).
        num_classes: The number of classes, K.
        penalty: λ; the bias has no penalty.

    Raises:
        ValueError: If the penalty is not positive.
    """
    if penalty <= 0:
        raise ValueError(f'penalty must be positive, got {penalty}')
    targets = 2.0 * F.one_hot(labels, num_classes) - 1.0
    means = [
        sum(chunk.double().sum(0) for chunk in values.split(CHUNK)) / len(values)
        for values in (features, targets)
    ]
    gram = penalty * torch.eye(features.shape[1], dtype=torch.float64, device=features.device)
    cross = gram.new_zeros(features.shape[1], num_classes)
    for x, t in zip(features.split(CHUNK), targets.split(CHUNK), strict=True):
        x, t = x.double() - means[0], t.double() - means[1]
        gram += x.T @ x  # (D, D)
        cross += x.T @ t  # (D, K)
    weight = torch.linalg.solve(gram, cross)
    return LinearClassifier(weight, means[1] - means[0] @ weight)


def logistic_fit(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    penalty: float = 1e-4,
    steps: int = 200,
    class_weight: Tensor | None = None,
    tolerance: float = 1e-6,
) -> LinearClassifier:
    r"""Fit a linear layer with softmax and cross entropy by L-BFGS over all features.

    It minimises the mean of the cross entropies :math:`+ \frac{\lambda}{2} \|W\|^2`.

    Args:
        features: (N, D), preferably standardised.
        labels: (N,).
        num_classes: The number of classes, K.
        penalty: λ; the bias has no penalty.
        steps: The maximum number of steps.
        class_weight: The weight of a sample of each class in the mean, (K,); None: equal weights.
        tolerance: The fit ends when no entry of the gradient is larger than this.
    """
    total = len(labels) if class_weight is None else float(class_weight[labels].sum())
    weight = features.new_zeros(features.shape[1], num_classes, requires_grad=True)
    bias = features.new_zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=steps,
        tolerance_grad=tolerance,
        tolerance_change=1e-10,
        line_search_fn='strong_wolfe',
    )

    def closure() -> float:
        optimizer.zero_grad()
        mean = 0.0
        for x, y in _chunks(features, labels):
            loss = F.cross_entropy(x @ weight + bias, y, class_weight, reduction='sum') / total
            loss.backward()
            mean += loss.item()
        decay = penalty / 2 * weight.square().sum()
        decay.backward()
        return mean + decay.item()

    optimizer.step(closure)
    return LinearClassifier(weight.detach(), bias.detach())


def _chunks(features: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(features.split(CHUNK), labels.split(CHUNK), strict=True)


def accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Compute the share of correct answers, in percent.

    Args:
        predicted: (M,).
        labels: (M,).
    """
    return 100 * (predicted == labels).double().mean().item()
