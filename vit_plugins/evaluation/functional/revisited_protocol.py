"""The Revisited Oxford and Paris protocol: Easy, Medium and Hard, with ignored images.

Radenović et al., "Revisiting Oxford and Paris", CVPR 2018, arXiv 1803.11285.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .similarities import similarities
from .vectors import BLOCK_ENTRIES, as_vectors, full_precision

# The lists of each query that are positives, and those that are removed from the ranking.
PROTOCOLS = {
    'easy': (('easy',), ('junk', 'hard')),
    'medium': (('easy', 'hard'), ('junk',)),
    'hard': (('hard',), ('junk', 'easy')),
}


def average_precision(ranks: np.ndarray, total: int) -> float:
    """Compute the area under precision over recall by the trapezoidal rule.

    Args:
        ranks: Ranks from 0 of the positives that were returned, ascending.
        total: Number of positives n; those that were not returned count 0.

    Example:
        >>> average_precision(np.array([4]), 1)
        0.1
    """
    found = np.arange(len(ranks))
    before = np.where(ranks == 0, 1.0, found / np.maximum(ranks, 1))
    return float((before + (found + 1) / (ranks + 1)).sum() / (2 * total))


def precision_at(ranks: np.ndarray, k: int) -> float:
    """Compute the precision among the first k, or up to the last positive if that comes earlier.

    Args:
        ranks: Ranks from 0 of the positives that were returned, ascending.
        k: The number of results to count.

    Example:
        >>> precision_at(np.array([0, 1]), 5)
        1.0
    """
    if not len(ranks):
        return 0.0
    k = min(k, int(ranks[-1]) + 1)
    return float((ranks < k).sum() / k)


def ranks_among(
    similarity: np.ndarray, positives: np.ndarray, junk: np.ndarray, optimistic: bool = False
) -> np.ndarray:
    """Compute the ranks of the positives of a query among all images except junk.

    Args:
        similarity: Similarity of the query to each image, shape (n,).
        positives: Indices of images.
        junk: Indices of images that are ignored; no positive is among them.
        optimistic: Decide ties between a positive and a negative for the positive.

    Returns:
        Ranks from 0, ascending.
    """
    others = np.ones(len(similarity), np.bool_)
    others[positives] = others[junk] = False
    negatives = np.sort(similarity[others])
    found = np.sort(similarity[positives])[::-1]
    side = 'right' if optimistic else 'left'
    above = len(negatives) - np.searchsorted(negatives, found, side=side)
    return above + np.arange(len(found))


def revisited_scores(
    queries: Tensor | np.ndarray,
    images: Tensor | np.ndarray,
    gnd: Sequence[dict[str, Any]],
    topk: Sequence[int] = (1, 5, 10),
    *,
    similarity: str = 'cosine',
    optimistic: bool = False,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Compute the scores of Q queries among n images by the three protocols.

    Queries that have nothing to find in a protocol are left out of its means.

    Args:
        queries: Embeddings of the queries, of shape (Q, D).
        images: Embeddings of the images, of shape (n, D).
        gnd: For each query its ``'easy'``, ``'hard'`` and ``'junk'``, indices of images.
        topk: The k of mP@k.
        similarity: ``'cosine'``, or ``'dot'`` to use the vectors without normalisation.
        optimistic: Decide ties between a positive and a negative for the positive.
        device: Where to compute; None takes the device of the embeddings.

    Returns:
        Within 0 and 1: ``'easy/mAP'``, ``'easy/mP@1'``, …, ``'hard/mP@10'``. A protocol without
        any query is left out.

    Raises:
        ValueError: If the number of queries is not that of ``gnd``, an index has no image, or the
            similarity is unknown.
    """
    if len(queries) != len(gnd):
        raise ValueError(f'{len(queries)} queries, but gnd is about {len(gnd)}')
    lists = [_read_lists(entry, number, len(images)) for number, entry in enumerate(gnd)]
    values: dict[str, list[float]] = {}
    for number, row in enumerate(_similarity_rows(queries, images, similarity, device)):
        for protocol, (wanted, ignored) in PROTOCOLS.items():
            positives = np.concatenate([lists[number][name] for name in wanted])
            if not len(positives):
                continue
            junk = np.concatenate([lists[number][name] for name in ignored])
            ranks = ranks_among(row, positives, junk, optimistic)
            values.setdefault(f'{protocol}/mAP', []).append(average_precision(ranks, len(ranks)))
            for k in topk:
                values.setdefault(f'{protocol}/mP@{k}', []).append(precision_at(ranks, k))
    return {name: float(np.mean(values[name])) for name in values}


def _similarity_rows(
    queries: Tensor | np.ndarray,
    images: Tensor | np.ndarray,
    similarity: str,
    device: torch.device | str | None,
) -> Iterator[np.ndarray]:
    device = torch.as_tensor(images).device if device is None else torch.device(device)
    with full_precision(device):
        rows = as_vectors(queries, similarity, device, 'queries')
        columns = as_vectors(images, similarity, device, 'images')
        for part in rows.split(max(1, BLOCK_ENTRIES // max(len(columns), 1))):
            yield from similarities(part, columns).cpu().numpy()  # (q, n)


def _read_lists(entry: dict[str, Any], number: int, images: int) -> dict[str, np.ndarray]:
    lists = {
        name: np.asarray(entry[name], np.int64).reshape(-1) for name in ('easy', 'hard', 'junk')
    }
    for name, indices in lists.items():
        if len(indices) and not (indices.min() >= 0 and indices.max() < images):
            raise ValueError(
                f'{name!r} of query {number} names image {indices.max()}, there are {images}: do '
                'the gallery and gnd belong to the same dataset?'
            )
    return lists
