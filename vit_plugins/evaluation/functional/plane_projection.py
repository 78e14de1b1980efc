"""Project embeddings to points of the plane, for pictures."""

from __future__ import annotations

import numpy as np

from .pca import fit_pca


def project_by_pca(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Project embeddings to their two main principal components.

    Args:
        features: Shape (N, D), N and D at least 2.

    Returns:
        Points (N, 2) and the share of the variance that they keep.
    """
    mean, projection = (part.numpy() for part in fit_pca(features, 2))
    centred = features.astype(np.float64) - mean
    points = centred @ projection.T
    return points, float(points.var(0).sum() / max(centred.var(0).sum(), 1e-300))


def project_by_tsne(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Project embeddings by t-SNE (van der Maaten & Hinton, 2008), as scikit-learn computes it.

    Args:
        features: Shape (N, D), N at least 5.
        seed: The seed of its start.

    Returns:
        Points (N, 2). The perplexity is 30, less for fewer than 91 points.

    Raises:
        ImportError: If scikit-learn is missing, with the line that installs it.
        ValueError: If there are too few points.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError('t-SNE needs scikit-learn: pip install scikit-learn') from error
    if len(features) < 5:
        raise ValueError(f't-SNE needs 5 images or more, got {len(features)}')
    perplexity = min(30.0, (len(features) - 1) / 3)
    settings = dict(perplexity=perplexity, init='pca', random_state=seed)
    return TSNE(2, **settings).fit_transform(features.astype(np.float32))
