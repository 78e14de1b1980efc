"""Measure how strongly each part of an objective moves the descriptors."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .rank_gathering import gather_rows


def gradient_noise(gradients: Tensor) -> Tensor:
    """Compute γ = ‖Cov(∇_z L)‖_*, the nuclear norm of the covariance of gradients.

    Fig. 4 of IRT (El-Nouby et al., arXiv 2102.05644), where L is the contrastive loss. No
    eigenvalue of a covariance is negative, so the nuclear norm is the trace: the mean squared
    distance of the gradients to their mean.

    Args:
        gradients: Gradient of each of N descriptors, shape (N, D).

    Returns:
        Scalar.

    >>> gradient_noise(torch.tensor([[3.0, 0.0], [1.0, 0.0], [2.0, 2.0], [2.0, -2.0]]))
    tensor(2.5000)
    """
    return gradients.var(dim=0, correction=0).sum()


def gradients_of(
    parts: Mapping[str, Tensor], embeddings: Tensor, sizes: list[int]
) -> dict[str, Tensor]:
    """Compute the gradient of parts of an objective with respect to the descriptors.

    Every rank must call it, because the gradient of a descriptor comes from all ranks.

    Args:
        parts: Parts of the objective, as this rank computes them.
        embeddings: The descriptors of this rank (n, D), from which the parts were computed.
        sizes: The number of descriptors of each rank.

    Returns:
        The gradients by part, shape (Σn, D): those of the mean over ranks, as under DDP.
    """
    found = {}
    for name, part in parts.items():
        (own,) = torch.autograd.grad(part, embeddings, retain_graph=True)  # (n, D)
        found[name] = gather_rows(own / len(sizes), sizes)
    return found
