"""Check embeddings as float32 vectors, and multiply them in full float32 precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK_ENTRIES = 1 << 24  # similarities at a time if blocks span the whole gallery: 64 MiB
SIMILARITIES = ('cosine', 'dot')


@contextmanager
def full_precision(device: torch.device | str) -> Iterator[None]:
    """Compute without gradient and in true float32: no TF32, no autocast.

    Args:
        device: Where the products run.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        with torch.no_grad(), torch.autocast(torch.device(device).type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def as_vectors(
    embeddings: Tensor | np.ndarray, similarity: str, device: torch.device | str, name: str
) -> Tensor:
    """Return checked embeddings in float32, of unit length if the similarity is the cosine.

    Args:
        embeddings: Shape (n, D).
        similarity: ``'cosine'`` or ``'dot'``.
        device: The device of the result.
        name: Their name in messages.

    Returns:
        Tensor: float32 of shape (n, D). The null vector is not changed.

    Raises:
        ValueError: If the shape is wrong, a value is not finite, or the similarity is unknown.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f'similarity must be one of {SIMILARITIES}, got {similarity!r}')
    vectors = torch.as_tensor(embeddings).detach().to(device, torch.float32)
    if vectors.ndim != 2:
        raise ValueError(f'{name} must have the shape (n, D), got {tuple(vectors.shape)}')
    broken = int((~vectors.isfinite().all(dim=1)).sum())
    if broken:
        raise ValueError(
            f'{broken} of {len(vectors)} {name} hold NaN or infinity, which no rank can be '
            'counted for: has the training diverged?'
        )
    return F.normalize(vectors, dim=1) if similarity == 'cosine' else vectors
