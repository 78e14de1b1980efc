"""How descriptors fill their space."""

import torch
from torch import Tensor


@torch.no_grad()
def effective_rank(embeddings: Tensor) -> Tensor:
    """Return exp(H(λ / Σλ)), λ the eigenvalues of the covariance: how many directions are in use.

    Args:
        embeddings: Shape (N, D), as they are to be compared: usually l2-normalised. They are
            centred here.

    Returns:
        Scalar between 1 (a line, or a point) and min(N - 1, D).

    >>> effective_rank(torch.eye(4))
    tensor(3.)
    """
    centred = embeddings - embeddings.mean(0)
    small = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    energies = torch.linalg.eigvalsh(small).clamp(min=0)
    shares = energies / energies.sum().clamp(min=torch.finfo(energies.dtype).tiny)
    return torch.special.entr(shares).sum().exp()
