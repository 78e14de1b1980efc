"""Spread descriptors: the differential entropy of nearest neighbours."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._precision import at_least_float32


def row_fingerprints(vectors: Tensor) -> Tensor:
    """Return a number for each vector that is the same only for equal vectors.

    It is a linear hash of the bits: two different vectors have the same number once in about 2^64
    pairs. To find duplicates with ``unique`` would make the program wait for the device.

    Args:
        vectors: Shape (N, D), float32 or float64.

    Returns:
        int64 of shape (N,).
    """
    bits = vectors.contiguous() + 0.0  # -0 becomes 0
    bits = bits.view(torch.int32 if vectors.dtype == torch.float32 else torch.int64).long()
    counter = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    factors = counter * -7046029254386353131  # SplitMix64's step; int64 wraps
    factors = (factors ^ (factors >> 29)) * -4658895280553007687
    factors = (factors ^ (factors >> 32)) | 1
    mixed = (bits ^ (bits << 21)) * factors  # (N, D)
    return (mixed ^ (mixed >> 31)).mul(factors).sum(1)


@torch.no_grad()
def nearest_neighbours(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Find each vector's nearest other one; exact duplicates are no neighbours.

    Distances are computed from differences, and the search is in float64: dot products in float32
    would lose small distances to rounding.

    Args:
        vectors: Shape (N, D), float32 or float64.

    Returns:
        Indices (N,) and distances (N,), infinite where all others are duplicates or N = 1.
    """
    if len(vectors) == 0:
        return vectors.new_zeros(0, dtype=torch.long), vectors.new_zeros(0)
    exact = vectors.double()
    # argmin_j ‖x_i - x_j‖² = argmax_j x_i·x_j - ‖x_j‖²/2
    closeness = exact @ exact.T - exact.square().sum(1) / 2
    kind = row_fingerprints(vectors)
    best, index = closeness.masked_fill(kind[:, None] == kind, -torch.inf).max(1)
    distance = (vectors - vectors[index]).norm(dim=1)
    return index, distance.where(best > -torch.inf, torch.inf)


def koleo_loss(vectors: Tensor, min_distance: float = 1e-3) -> Tensor:
    """Return -1/N Σ_i log ρ_i, with ρ_i the distance of vector i to its nearest neighbour.

    Args:
        vectors: Shape (N, D), float32 or float64.
        min_distance: Lower bound of ρ, below which the gradient is 0.

    Returns:
        Scalar; 0 for a single vector.

    >>> koleo_loss(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # -log 2
    tensor(-0.6931)
    """
    index, nearest = nearest_neighbours(vectors)
    rho = (vectors - vectors[index]).norm(dim=1)  # gradient on both ends
    # Vectors without a neighbour cost nothing, but stay in the graph: other ranks wait for it.
    logs = rho.clamp(min=min_distance).log().where(nearest.isfinite(), 0.0)
    return -logs.sum() / max(len(vectors), 1)


@MODELS.register_module()
class KoLeoLoss(nn.Module):
    """The Kozachenko-Leonenko regulariser, Eq. (5) of IRT (El-Nouby et al., arXiv 2102.05644).

    It pushes each descriptor away from its nearest one in the batch, of the same class or not. The
    memory is not used. Everything is in float32, also under autocast. Exact duplicates, which come
    from images sampled twice, are no neighbours: their gradients would cancel, and each would add
    a constant. A gradient is at most 2/(N·min_distance) for a mutual pair.

    Args:
        loss_weight: λ. Published: 0.7 for SOP, CUB and In-Shop, 4.0 for SfM-120k.
        min_distance: Lower bound of a distance, below which nothing is pushed.

    Raises:
        ValueError: If ``min_distance`` is not positive.
    """

    def __init__(self, loss_weight: float = 0.7, min_distance: float = 1e-3) -> None:
        super().__init__()
        if not min_distance > 0:
            raise ValueError(f'min_distance ({min_distance}) must be positive')
        self.loss_weight = loss_weight
        self.min_distance = min_distance

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the weighted loss.

        Args:
            vectors: Unit vectors (N, D), of all ranks if there are several.

        Returns:
            Scalar, float32 or float64.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            return self.loss_weight * koleo_loss(at_least_float32(vectors), self.min_distance)

    def extra_repr(self) -> str:
        """Return the settings, to print."""
        return f'loss_weight={self.loss_weight}, min_distance={self.min_distance}'
