"""Compute Recall@K, P@1, MAP@R, R-precision and mAP of embeddings from exact ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .retrieval_ranking import iterate_positive_ranks

RETRIEVAL_METRICS = ('Recall', 'P@1', 'MAP@R', 'R-precision', 'mAP')
BEST_SUFFICES = ('Recall', 'P@1')
EARLY_SUFFICES = (*BEST_SUFFICES, 'MAP@R', 'R-precision')


@dataclass(frozen=True)
class RetrievalScores:
    """Mean scores between 0 and 1 over the queries that have a positive.

    Args:
        pessimistic: Scores by name, with each tie between a positive and a negative decided for
            the negative. An encoder that maps all images to one vector scores 0.
        optimistic: Scores with each such tie decided for the positive. Rankings that break ties by
            their order score between the two; without ties both are equal.
        queries: The number of queries that were scored.
        without_positives: The number of queries that were not, because no reference has their
            label.
    """

    pessimistic: dict[str, float]
    optimistic: dict[str, float]
    queries: int
    without_positives: int


def retrieval_scores(
    embeddings: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    gallery: Tensor | np.ndarray | None = None,
    gallery_labels: Tensor | np.ndarray | None = None,
    *,
    topk: Sequence[int] = (1, 10, 100, 1000),
    metrics: Sequence[str] = RETRIEVAL_METRICS,
    similarity: str = 'cosine',
    device: torch.device | str | None = None,
) -> RetrievalScores:
    """Compute how well embeddings find images of the same class.

    Recall@K is the share of queries with a positive among their K most similar references (also
    known as CMC), P@1 the share whose most similar one is a positive. With R positives of a query
    at ranks r_0 < r_1 < … from 0: R-precision is the share of them below R; MAP@R (Musgrave et
    al., arXiv 2003.08505) the sum of (k + 1) / (r_k + 1) over those below R, divided by R; mAP the
    mean of (k + 1) / (r_k + 1) over all. Each is averaged over the queries.

    Args:
        embeddings: Embeddings of the queries, shape (N, D), floating point.
        labels: Labels of the queries, integers of shape (N,).
        gallery: Embeddings of the references, shape (M, D). None searches each sample among all
            others.
        gallery_labels: Labels of the references, integers of shape (M,).
        topk: The K of Recall@K; they may exceed the number of references.
        metrics: Names from ``RETRIEVAL_METRICS``. mAP takes most time, because only it needs the
            exact rank of every positive.
        similarity: ``'cosine'``, or ``'dot'`` to use the vectors without normalisation.
        device: Where to compute; None takes the device of the embeddings.

    Raises:
        ValueError: If an argument is invalid, or no query has a positive.

    Example:
        >>> e, y = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1.0]]), np.array([0, 0, 1, 1])
        >>> retrieval_scores(e, y, topk=(1, 2)).pessimistic['Recall@1']
        0.75
    """
    check_metrics(metrics, topk)
    sums: list[dict[str, float]] = [{}, {}]
    queries = 0
    best_only = set(metrics) <= set(BEST_SUFFICES)
    for ranks in iterate_positive_ranks(
        embeddings,
        labels,
        gallery,
        gallery_labels,
        best_only=best_only,
        early_only=not best_only and set(metrics) <= set(EARLY_SUFFICES),
        similarity=similarity,
        device=device,
    ):
        queries += len(ranks.queries)
        for total, found in zip(sums, (ranks.pessimistic, ranks.optimistic), strict=True):
            for name, values in scores_of_ranks(found, ranks.counts, topk, metrics).items():
                total[name] = total.get(name, 0.0) + float(values.sum())
    if not queries:
        raise ValueError(
            f'none of the {len(embeddings)} queries has a reference of its label: are labels and '
            'gallery_labels of the same dataset, and has each class two images?'
        )
    means = [{name: value / queries for name, value in total.items()} for total in sums]
    return RetrievalScores(*means, queries, len(embeddings) - queries)


def scores_of_ranks(
    ranks: np.ndarray,
    counts: np.ndarray,
    topk: Sequence[int] = (1, 10, 100, 1000),
    metrics: Sequence[str] = RETRIEVAL_METRICS,
) -> dict[str, np.ndarray]:
    """Compute the scores of B queries from the ranks of positives; see :func:`retrieval_scores`.

    Args:
        ranks: Ranks of the positives from 0, ascending, of shape (B, P), as
            :class:`PositiveRanks` holds them.
        counts: Positives of each query, at least 1, of shape (B,).
        topk: The K of Recall@K.
        metrics: The names of the metrics.

    Returns:
        float64 arrays of shape (B,) by name, Recall as ``'Recall@10'``.

    Example:
        >>> ranks = np.array([[0, 2, 7]])  # of the first three found, the second is wrong
        >>> scores = scores_of_ranks(ranks, np.array([3]), topk=())
        >>> scores['MAP@R'] * 9, scores['R-precision'] * 3
        (array([5.]), array([2.]))
    """
    scores: dict[str, np.ndarray] = {}
    place = np.arange(1, ranks.shape[1] + 1)
    used = place <= counts[:, None]  # (B, P)
    early = used & (ranks < counts[:, None])
    precision = place / (np.where(used, ranks, 0) + 1.0)
    for name in metrics:
        if name == 'Recall':
            scores.update({f'Recall@{k}': (ranks[:, 0] < k).astype(np.float64) for k in topk})
        elif name == 'P@1':
            scores[name] = (ranks[:, 0] < 1).astype(np.float64)
        elif name == 'MAP@R':
            scores[name] = (precision * early).sum(axis=1) / counts
        elif name == 'R-precision':
            scores[name] = early.sum(axis=1) / counts
        else:
            scores[name] = (precision * used).sum(axis=1) / counts
    return scores


def check_metrics(metrics: Sequence[str], topk: Sequence[int]) -> None:
    """Check names of metrics and numbers K.

    Args:
        metrics: Names of metrics.
        topk: The K of Recall@K.

    Raises:
        ValueError: If there is no metric, or a name or a number is invalid.
    """
    if isinstance(metrics, str) or not metrics or not set(metrics) <= set(RETRIEVAL_METRICS):
        raise ValueError(f'the metrics must be some of {RETRIEVAL_METRICS}, got {metrics!r}')
    if 'Recall' in metrics and (not topk or min(topk) < 1):
        raise ValueError(f'topk must be one K or more, each at least 1, got {topk!r}')
