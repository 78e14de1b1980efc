"""Compute the principal components of the filters of a patch embedding."""

from __future__ import annotations

import torch
from torch import Tensor


def filter_components(weight: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Compute the principal components of the filters of a patch embedding.

    As in the left of Fig. 7 of ViT (arXiv 2010.11929): a patch is a vector of k = C kh kw pixels,
    which D filters map to the tokens. The components are an orthonormal basis of the patches,
    sorted by how much the filters vary along them about their mean, most first.

    Args:
        weight: Weight of the convolution, shape (D, C, kh, kw).
        number: The number of components; fewer if the filters span fewer.

    Returns:
        Components (n, C, kh, kw) and the share of the variance of each (n,), descending. The sign
        of a component is such that its largest entry is positive.
    """
    flat = weight.detach().double().flatten(1)  # (D, k)
    centred = flat - flat.mean(0)
    _, values, vectors = torch.linalg.svd(centred, full_matrices=False)
    number = min(number, min(centred.shape[0] - 1, centred.shape[1]))
    strongest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()  # (n, 1)
    shares = values.square() / values.square().sum().clamp(min=torch.finfo(values.dtype).tiny)
    components = (vectors * strongest)[:number].unflatten(1, tuple(weight.shape[1:]))
    return components.float(), shares[:number].float()
