"""Find different images that a network takes for similar ones."""

import torch
from torch import Tensor

from .similarities import similarities


def mine_hard_negatives(
    queries: Tensor,
    pool: Tensor,
    query_models: Tensor,
    pool_models: Tensor,
    count: int = 5,
    chunk: int = 256,
) -> Tensor:
    """Find for each query the most similar images of a pool that show something else.

    Images of the query's own 3D model (or class) are left out, and at most one image of every
    other model is taken: five views of one wrong building teach less than five buildings.

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019, section 4.2.

    Args:
        queries: Descriptors (Q, D), normalised.
        pool: Descriptors (P, D), normalised.
        query_models: The 3D model of each query (Q,).
        pool_models: The 3D model of each image of the pool (P,).
        count: The number n of negatives of a query.
        chunk: The number of queries at a time; each needs P times 4 bytes.

    Returns:
        Indices in the pool (Q, n), the most similar first; of equal ones the first.

    Raises:
        ValueError: If a query has fewer than ``count`` other 3D models in the pool.
    """
    found = [
        _mine(
            similarities(queries[i : i + chunk], pool),
            query_models[i : i + chunk],
            pool_models,
            count,
        )
        for i in range(0, len(queries), chunk)
    ]
    return torch.cat(found)


def _mine(scores: Tensor, query_models: Tensor, pool_models: Tensor, count: int) -> Tensor:
    gone = query_models[:, None] == pool_models  # (q, P)
    chosen = []
    for taken in range(count):
        scores = scores.masked_fill_(gone, -torch.inf)
        if scores.shape[1] == 0 or scores.amax(1).isneginf().any():
            raise ValueError(
                f'a query has only {taken} other 3D models in the pool of {len(pool_models)} '
                f'images, {count} are needed: make pool_size larger or num_negatives smaller'
            )
        best = scores.argmax(1)  # (q,)
        gone = pool_models[best][:, None] == pool_models
        chosen.append(best)
    return torch.stack(chosen, dim=1)  # (q, n)
