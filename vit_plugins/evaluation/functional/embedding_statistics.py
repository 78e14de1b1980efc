"""Compute statistics of embeddings: dimensions in use, spread, similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .similarities import similarities
from .vectors import BLOCK_ENTRIES, as_vectors, full_precision

CHUNK = 4096  # rows that are held in float64 at a time


def covariance(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and covariance (with 1/N) in float64, without a float64 copy of all rows.

    Args:
        embeddings: Shape (N, D), N at least 1.

    Returns:
        Mean (D,) and covariance (D, D).
    """
    mean = sum(part.double().sum(dim=0) for part in embeddings.split(CHUNK)) / len(embeddings)
    parts = (part.double() - mean for part in embeddings.split(CHUNK))
    return mean, sum(part.T @ part for part in parts) / len(embeddings)


@torch.no_grad()
def covariance_spectrum(embeddings: Tensor | np.ndarray) -> Tensor:
    """Compute the eigenvalues of the covariance of embeddings, descending, none negative.

    The embeddings are centred. IRT (arXiv 2102.05644, Figs. 2 and 3) does not say whether they
    were normalised before; ours are, if the caller passes descriptors.

    Args:
        embeddings: Shape (N, D).

    Returns:
        Tensor: float64 of shape (min(N, D),).
    """
    embeddings = torch.as_tensor(embeddings).detach()
    n, dims = embeddings.shape
    if n < dims:  # the smaller matrix has the same eigenvalues
        centred = embeddings.double()
        centred = centred - centred.mean(dim=0)
        matrix = centred @ centred.T / n  # (N, N)
    else:
        matrix = covariance(embeddings)[1]  # (D, D)
    return torch.linalg.eigvalsh(matrix).flip(0).clamp(min=0)


def effective_rank(embeddings: Tensor | np.ndarray) -> float:
    """Compute the number of dimensions in use, exp of the entropy of the covariance's eigenvalues.

    It lies between 1 (all embeddings are on a line) and min(N - 1, D) (an even spread; Roy and
    Vetterli, 2007). It is 0 if all embeddings are equal.

    Args:
        embeddings: Shape (N, D).

    Example:
        >>> round(effective_rank(torch.eye(5)), 6)  # 5 points of a regular simplex
        4.0
    """
    spectrum = covariance_spectrum(embeddings)
    total = spectrum.sum()
    if not total > 0:
        return 0.0
    return float(torch.special.entr(spectrum / total).sum().exp())


def cumulative_energy(embeddings: Tensor | np.ndarray) -> Tensor:
    """Compute the share of the variance in the first k principal components, for k = 1, 2, ….

    Args:
        embeddings: Shape (N, D).

    Returns:
        Tensor: float64 of shape (min(N, D),), ascending to 1; ones if there is no variance.
    """
    spectrum = covariance_spectrum(embeddings)
    total = spectrum.sum()
    return spectrum.cumsum(0) / total if total > 0 else torch.ones_like(spectrum)


def components_for(energy: Tensor, shares: Sequence[float] = (0.5, 0.9, 0.99)) -> list[int]:
    """Compute how many principal components hold given shares of the variance.

    Args:
        energy: The result of :func:`cumulative_energy`.
        shares: Shares between 0 and 1.

    Example:
        >>> components_for(torch.tensor([0.6, 0.95, 1.0]))
        [1, 2, 3]
    """
    wanted = torch.as_tensor(shares, dtype=energy.dtype, device=energy.device)
    return (torch.searchsorted(energy, wanted) + 1).clamp(max=len(energy)).tolist()


def nearest_distances(embeddings: Tensor | np.ndarray) -> Tensor:
    """Compute the Euclidean distance of each embedding to the nearest other one, KoLeo's ρ.

    The neighbour is found by dot products. The distance is computed from the two vectors
    themselves, because dot products lose small distances.

    Args:
        embeddings: Of shape (N, D), N at least 2.

    Returns:
        Tensor: float32 of shape (N,).
    """
    device = torch.as_tensor(embeddings).device
    with full_precision(device):
        vectors = as_vectors(embeddings, 'dot', device, 'embeddings')
        if len(vectors) < 2:
            raise ValueError(f'{len(vectors)} embedding has no neighbour: give two or more')
        half = vectors.square().sum(dim=1) / 2
        rows = max(1, BLOCK_ENTRIES // len(vectors))
        distances = []
        for start in range(0, len(vectors), rows):
            part = vectors[start : start + rows]
            # |x - y|² = |x|² - 2 (x·y - |y|²/2)
            closeness = similarities(part, vectors).sub_(half)  # (n, N)
            closeness.diagonal(start).fill_(-torch.inf)
            distances.append((part - vectors[closeness.argmax(dim=1)]).norm(dim=1))
        return torch.cat(distances)


@dataclass(frozen=True)
class SimilarityHistogram:
    """The number of pairs by their similarity.

    Args:
        edges: Borders of the bins, shape (bins + 1,).
        positives: Pairs of the same label per bin, int64 of shape (bins,).
        negatives: Pairs of different labels per bin.
    """

    edges: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def similarity_histogram(
    embeddings: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    gallery: Tensor | np.ndarray | None = None,
    gallery_labels: Tensor | np.ndarray | None = None,
    bins: int = 200,
    device: torch.device | str | None = None,
) -> SimilarityHistogram:
    """Compute histograms of the cosines of positive and negative pairs, in bounded memory.

    Args:
        embeddings: Embeddings of the queries, shape (N, D).
        labels: Labels of the queries, integers of shape (N,).
        gallery: Embeddings of the references, shape (M, D). None pairs each sample with all
            others, so that each pair is counted twice.
        gallery_labels: Labels of the references, integers of shape (M,).
        bins: Number of bins.
        device: Where to compute; None takes the device of the embeddings.
    """
    device = torch.as_tensor(embeddings).device if device is None else torch.device(device)
    own = gallery is None
    with full_precision(device):
        rows = as_vectors(embeddings, 'cosine', device, 'embeddings')
        columns = rows if own else as_vectors(gallery, 'cosine', device, 'gallery')
        row_labels = torch.as_tensor(labels).to(device)
        column_labels = row_labels if own else torch.as_tensor(gallery_labels).to(device)
        counts = np.zeros((2, bins), np.int64)
        step = max(1, BLOCK_ENTRIES // max(len(columns), 1))
        for start in range(0, len(rows), step):
            s = similarities(rows[start : start + step], columns).clamp_(-1, 1)  # (n, M)
            if own:
                s.diagonal(start).fill_(torch.nan)
            same = row_labels[start : start + step, None] == column_labels
            positives = s[same]
            s[same] = torch.nan
            for side, values in enumerate((positives, s)):
                values = values[~values.isnan()]
                # float64 sums: a bin may hold more than the 2^24 that float32 counts up to.
                found = torch.histc(values.double().cpu(), bins, -1, 1)
                counts[side] += found.numpy().astype(np.int64)
    return SimilarityHistogram(np.linspace(-1, 1, bins + 1), *counts)
