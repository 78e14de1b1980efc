"""Fit principal components of embeddings: plain, whitening, or whitening learnt from pairs.

Each fit returns a mean m and a projection P, y = P (x - m), in float64.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .embedding_statistics import CHUNK, covariance

NO_VARIANCE = 1e-12  # an eigenvalue below this share of the largest is a rounding error


@torch.no_grad()
def fit_pca(
    features: Tensor | np.ndarray, dims: int, whiten: bool = False
) -> tuple[Tensor, Tensor]:
    """Fit y = Wᵀ(x - m), or the whitening y = Λ^(-1/2) Wᵀ(x - m).

    W holds the eigenvectors of the largest eigenvalues Λ of the centred covariance. The sign of
    each is such that its largest entry is positive.

    Args:
        features: Shape (N, D).
        dims: The number k of components to keep.
        whiten: Scale each component to variance 1.

    Returns:
        Mean (D,) and projection (k, D), float64.

    Raises:
        ValueError: If there are fewer components, or if a component to whiten has no variance.
    """
    features = _checked(features, dims)
    mean, matrix = covariance(features)
    values, vectors = _largest(matrix, dims)
    if not whiten:
        return mean, vectors.T
    present = int((values > NO_VARIANCE * values[0]).sum())
    if present < dims:
        raise ValueError(
            f'{len(features)} features vary in {present} dimensions only, which whitening cannot '
            f'scale to {dims}: fit on more images, lower out_dims, or do not whiten'
        )
    return mean, (vectors / values.sqrt()).T


@torch.no_grad()
def fit_supervised_whitening(
    features: Tensor | np.ndarray, pairs: Tensor | np.ndarray, dims: int
) -> tuple[Tensor, Tensor]:
    """Fit a whitening of the differences within matching pairs, followed by PCA.

    m is the mean of the pairs' first members, S = E[(q - p)(q - p)ᵀ] over the pairs,
    P₀ = inv(chol(S)), V the first eigenvectors of the second moment of P₀(x - m) over all
    features, and P = Vᵀ P₀ ("Lw" of Radenović et al., "Fine-tuning CNN Image Retrieval with No
    Human Annotation", arXiv 1711.02512).

    Args:
        features: Shape (N, D).
        pairs: Indices of a query and its positive, shape (n, 2).
        dims: The number k of components to keep.

    Returns:
        Mean (D,) and projection (k, D), float64.

    Raises:
        ValueError: If there are fewer components, or the pairs do not differ in all directions.
    """
    features = _checked(features, dims)
    pairs = torch.as_tensor(pairs).to(features.device)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f'pairs must have the shape (n, 2), n > 0, got {tuple(pairs.shape)}')
    width = features.shape[1]
    mean = sum(features[part].double().sum(dim=0) for part in pairs[:, 0].split(CHUNK)) / len(
        pairs
    )
    within = torch.zeros(width, width, dtype=torch.float64, device=features.device)
    for queries, positives in (part.unbind(1) for part in pairs.split(CHUNK)):
        difference = features[queries].double() - features[positives].double()
        within += difference.T @ difference / len(pairs)
    factor, failed = torch.linalg.cholesky_ex(within)
    if failed or factor.diagonal().min() ** 2 < NO_VARIANCE * factor.diagonal().max() ** 2:
        raise ValueError(
            f'the differences of {len(pairs)} pairs do not span the {width} dimensions: give more '
            'pairs of different images'
        )
    eye = torch.eye(width, dtype=torch.float64, device=features.device)
    whitening = torch.linalg.solve_triangular(factor, eye, upper=False)  # P₀
    moment = torch.zeros_like(within)
    for part in features.split(CHUNK):
        turned = (part.double() - mean) @ whitening.T
        moment += turned.T @ turned
    return mean, _largest(moment, dims)[1].T @ whitening


def label_pairs(labels: Tensor | np.ndarray) -> np.ndarray:
    """Pair each sample with the next one of its label.

    Args:
        labels: Integers of shape (N,).

    Returns:
        Indices of shape (n, 2); none for a label that occurs once.

    Example:
        >>> label_pairs(np.array([7, 5, 7, 7])).tolist()
        [[0, 2], [2, 3]]
    """
    labels = np.asarray(labels)
    order = np.argsort(labels, kind='stable')
    same = labels[order[:-1]] == labels[order[1:]]
    return np.stack((order[:-1], order[1:]), axis=1)[same]


def matching_pairs(dataset: Dataset, labels: np.ndarray | None) -> np.ndarray:
    """Find pairs of images that show the same thing, as indices of shape (n, 2).

    Args:
        dataset: A dataset; its attribute ``pairs`` is used if it has one.
        labels: The label of each image, needed without that attribute.

    Raises:
        ValueError: If there are neither pairs nor labels.
    """
    pairs = getattr(dataset, 'pairs', None)
    if pairs is None and labels is None:
        raise ValueError(
            f"{type(dataset).__name__} has neither pairs nor labels for mode='supervised' of "
            'PCAProjection: choose another split, dataloader or mode'
        )
    return label_pairs(labels) if pairs is None else np.asarray(pairs)


def _checked(features: Tensor | np.ndarray, dims: int) -> Tensor:
    features = torch.as_tensor(features).detach()
    if features.ndim != 2 or not 1 <= dims <= features.shape[1] or len(features) < 2:
        raise ValueError(
            f'features of shape {tuple(features.shape)} have no {dims} components: out_dims must '
            'lie within 1 and D, and N must be at least 2'
        )
    if not features.isfinite().all():
        raise ValueError('features hold NaN or infinity: has the training diverged?')
    return features


def _largest(matrix: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalues, descending, and eigenvectors as columns of fixed sign."""
    values, vectors = torch.linalg.eigh(matrix)
    values, vectors = values.flip(0)[:number].clamp(min=0), vectors.flip(1)[:, :number]
    strongest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return values, vectors * strongest.sign()
