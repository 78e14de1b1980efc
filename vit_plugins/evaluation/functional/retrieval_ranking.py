"""Compute exact ranks of the correct answers of a search by counting, in bounded memory.

The rank of a positive is the number of references more similar to the query. So no reference has
to be sorted or kept: the similarities of a block come from one matrix product, those of the
positives are read out of it, as the bounds of their query, and what lies above each bound is
counted. Nothing larger than a block exists, save the embeddings themselves.

Samples are sorted by class, so that the positives of a query lie side by side, and cut between
classes into blocks. If every sample searches among all others, the similarity is symmetric, and
half of the blocks suffice::

                 block 0    block 1    block 2
               +----------+----------+----------+   P  a class with itself: the bounds of its rows;
      block 0  | P P n n  |  r   r   |  r   r   |      then struck out, so that none is counted
               | P P n n  |   c   c  |   c   c  |   n  counted for the bounds of its row
               | n n P P  |  r   r   |  r   r   |   r  counted for the bounds of its row and
               | n n P P  |   c   c  |   c   c  |   c  of its column, in place of the mirrored
               +----------+----------+----------+      block, which is never computed
      block 1  |          | P P P n  |  r   r   |
               | mirrored | P P P n  |   c   c  |   No class is cut, so that all positives lie in
               |          | P P P n  |  r   r   |   the blocks on the diagonal. These come first:
               |          | n n n P  |   c   c  |   then all bounds are known.
               +----------+----------+----------+

Where only ranks below the number of positives R matter, as for MAP@R, a positive is dropped once R
negatives were above it. So few negatives are above those that remain that they can be collected.

With a gallery, and where a class is larger than a block, some queries at a time meet all
references::

                    references, by class
               +--------------------------+
      queries  | n n n n P P P n n n n n  |   one product, then P are read and n are counted, or
               | n n n n P P P n n n n n  |   sorted where a query has many positives
               +--------------------------+

Equal vectors have equal similarities to the last bit, so that ties are ties; see
:func:`~.similarities.similarities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .counts_above import CountsAbove
from .similarities import similarities
from .vectors import BLOCK_ENTRIES, as_vectors, full_precision

BLOCK = 2048  # rows and columns of a block: large enough for an efficient product
FEW = 16  # up to this number of positives, counting for each costs less than sorting
UNUSED = np.iinfo(np.int64).max  # the rank in a slot that has no positive


@dataclass(frozen=True)
class PositiveRanks:
    """Ranks of the positives of B queries, counted from 0, best first.

    Args:
        queries: Indices of these queries, int64 of shape (B,).
        counts: Positives of each query, at least 1, of shape (B,).
        optimistic: Ranks if each tie between a positive and a negative is decided for the
            positive; int64 of shape (B, P), P the largest count or 1 if only the best was asked
            for. Slots beyond a query's count hold ``UNUSED``.
        pessimistic: Ranks if each tie is decided for the negative, laid out alike.
    """

    queries: np.ndarray
    counts: np.ndarray
    optimistic: np.ndarray
    pessimistic: np.ndarray


@dataclass(frozen=True)
class _Classes:
    """Samples sorted by class, small classes first, so the positives of a query are adjacent."""

    starts: np.ndarray  # of each class among the sorted references, and the end, (C + 1,)
    references: np.ndarray  # the order of the references, (M,)
    queries: np.ndarray  # the order of the queries that have a positive, (n,)
    query_classes: np.ndarray  # class of each of those, ascending, (n,)
    counts: np.ndarray  # positives of each of those, (n,)
    own: bool  # each query is a reference, too

    @classmethod
    def sort(cls, labels: np.ndarray, gallery_labels: np.ndarray | None) -> _Classes:
        own = gallery_labels is None
        references = labels if own else gallery_labels
        ids = np.unique(np.concatenate((references, labels)), return_inverse=True)[1]
        sizes = np.bincount(ids[: len(references)], minlength=ids.max(initial=-1) + 1)
        by_size = np.argsort(sizes, kind='stable')
        place = np.empty_like(by_size)
        place[by_size] = np.arange(len(by_size))
        of_references, of_queries = place[ids[: len(references)]], place[ids[len(references) :]]
        order = np.argsort(of_queries, kind='stable')
        counts = sizes[by_size][of_queries[order]] - own
        order, counts = order[counts > 0], counts[counts > 0]
        return cls(
            starts=np.concatenate(([0], np.cumsum(sizes[by_size]))),
            references=np.argsort(of_references, kind='stable'),
            queries=order,
            query_classes=of_queries[order],
            counts=counts,
            own=own,
        )


def iterate_positive_ranks(
    embeddings: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    gallery: Tensor | np.ndarray | None = None,
    gallery_labels: Tensor | np.ndarray | None = None,
    *,
    best_only: bool = False,
    early_only: bool = False,
    similarity: str = 'cosine',
    device: torch.device | str | None = None,
) -> Iterator[PositiveRanks]:
    """Yield the ranks of the references of the correct class for each query that has one.

    Without a gallery each sample is searched among all the others. The sample itself is left out
    by its index, so an equal vector of another sample counts.

    Args:
        embeddings: Of the queries, of shape (N, D), floating point.
        labels: Of the queries, integers of shape (N,).
        gallery: Embeddings of the references, of shape (M, D).
        gallery_labels: Of the references, integers of shape (M,).
        best_only: Rank only the most similar positive, which takes less time.
        early_only: Rank the most similar of the R positives of a query, and those with a rank
            below R; the others get some rank of at least R. This takes hardly longer than the best
            only if each query has few positives.
        similarity: ``'cosine'``, or ``'dot'`` to use the vectors without normalisation.
        device: Where to compute; None takes the device of the embeddings.

    Yields:
        PositiveRanks: The ranks of some of the queries. Each query with a positive comes once.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or the similarity is unknown.
    """
    if (gallery is None) != (gallery_labels is None):
        raise ValueError('gallery and gallery_labels go together: give both or neither')
    device = torch.as_tensor(embeddings).device if device is None else torch.device(device)
    own_labels = _as_labels(labels, embeddings, 'labels')
    other_labels = None
    if gallery is not None:
        other_labels = _as_labels(gallery_labels, gallery, 'gallery_labels')
        if gallery.shape[1:] != embeddings.shape[1:]:
            raise ValueError(
                f'queries of shape {tuple(embeddings.shape)} cannot be compared with a gallery '
                f'of shape {tuple(gallery.shape)}'
            )
    classes = _Classes.sort(own_labels, other_labels)
    largest = int(np.diff(classes.starts).max(initial=0))
    with full_precision(device):
        vectors = as_vectors(embeddings, similarity, device, 'embeddings')
        if not classes.own:
            others = as_vectors(gallery, similarity, device, 'gallery')
            yield from _ranks_by_rows(vectors, others, classes, best_only)
        elif largest > (BLOCK if best_only else FEW + 1):
            yield from _ranks_by_rows(vectors, vectors, classes, best_only)
        else:
            yield from _ranks_by_symmetry(vectors, classes, best_only, early_only)


def _as_labels(labels: Tensor | np.ndarray, vectors: Tensor | np.ndarray, name: str) -> np.ndarray:
    labels = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if labels.shape != (len(vectors),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f'{name} must be {len(vectors)} integers, one for each embedding, got '
            f'{labels.dtype} of shape {labels.shape}'
        )
    return labels.astype(np.int64)


def _take_positives(
    s: Tensor, classes: np.ndarray, starts: np.ndarray, best_only: bool, own: Tensor | None
) -> Tensor:
    """Read the similarities of the positives and remove their whole class from the block.

    ``s`` (n, m) has sorted classes as rows; ``starts`` counts its columns; ``own`` (n,) is the
    column of the query itself. Gives (n, P), descending, filled up with infinity, above which
    nothing lies.
    """
    width = int((starts[classes + 1] - starts[classes]).max())
    taken = s.new_full((len(s), width), -torch.inf)
    if own is not None:
        s[torch.arange(len(s), device=s.device), own] = -torch.inf
    borders = np.flatnonzero(np.diff(classes, prepend=-1, append=-1))
    for row, end in pairwise(borders):
        column, last = starts[classes[row]], starts[classes[row] + 1]
        taken[row:end, : last - column] = s[row:end, column:last]
        s[row:end, column:last] = -torch.inf
    if best_only:
        taken = taken.amax(dim=1, keepdim=True)
    else:
        taken = taken.sort(dim=1, descending=True).values
        taken = taken if own is None else taken[:, :-1].contiguous()
    return taken.masked_fill_(taken == -torch.inf, torch.inf)


def _ranks(classes: _Classes, part: slice, above: CountsAbove) -> PositiveRanks:
    """Add to the negatives above each positive (n, P), descending, the positives above it."""
    counts = classes.counts[part]
    better = np.arange(above.strict.shape[1])
    used = better < counts[:, None]  # (n, P)
    ranks = [np.where(used, found + better, UNUSED) for found in (above.strict, above.loose)]
    return PositiveRanks(classes.queries[part], counts, *ranks)


def _ranks_by_rows(
    vectors: Tensor, others: Tensor, classes: _Classes, best_only: bool
) -> Iterator[PositiveRanks]:
    """Rank some queries at a time among all references: the second drawing."""
    device = vectors.device
    gallery = others[torch.from_numpy(classes.references).to(device)]  # (M, D)
    queries = torch.from_numpy(classes.queries).to(device)
    place = torch.from_numpy(np.argsort(classes.references)).to(device)
    rows = min(BLOCK, max(1, BLOCK_ENTRIES // max(len(gallery), 1)))
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        s = similarities(vectors[queries[part]], gallery)  # (n, M)
        own = place[queries[part]] if classes.own else None
        bounds = _take_positives(s, classes.query_classes[part], classes.starts, best_only, own)
        above = CountsAbove.none(*bounds.shape)
        if bounds.shape[1] > FEW:
            above.search(s, bounds)
        else:
            above.count(s, bounds)
        yield _ranks(classes, part, above)


def _ranks_by_symmetry(
    vectors: Tensor, classes: _Classes, best_only: bool, early_only: bool
) -> Iterator[PositiveRanks]:
    """Rank all samples among all others, from the blocks of the first drawing."""
    if not len(classes.queries):
        return
    cuts = _cut_between_classes(classes.starts, BLOCK)
    sizes = np.diff(cuts)
    side = -(-int(sizes.max()) // 64) * 64  # of all blocks: products of one kind
    order = torch.from_numpy(classes.references).to(vectors.device)
    blocks = vectors.new_zeros(len(sizes), side, vectors.shape[1])
    for block, part in zip(blocks, order.split(sizes.tolist()), strict=True):
        block[: len(part)] = vectors[part]
    sample_classes = np.repeat(np.arange(len(classes.starts) - 1), np.diff(classes.starts))
    width = 1 if best_only else int(classes.counts.max())
    above = CountsAbove.none(len(blocks), side, width)
    bounds: list[Tensor] = []
    s = vectors.new_empty(side, side)

    def multiply(i: int, j: int) -> None:
        similarities(blocks[i], blocks[j], out=s)
        s[sizes[i] :] = -torch.inf  # the padding of the blocks is above no bound
        s[:, sizes[j] :] = -torch.inf

    for i, (low, high) in enumerate(pairwise(cuts)):  # the diagonal
        multiply(i, i)
        own = torch.arange(sizes[i], device=s.device)
        found = _take_positives(
            s[: sizes[i]], sample_classes[low:high], classes.starts - low, best_only, own
        )
        bounds.append(F.pad(found, (0, 0, 0, side - len(found)), value=torch.inf))
        above[i].count(s, bounds[i])
    count = CountsAbove.count_few if early_only else CountsAbove.count
    positives = [(found < torch.inf).sum(dim=1).numpy(force=True) for found in bounds]
    for i, j in combinations(range(len(blocks)), 2):  # above it
        multiply(i, j)
        for block, dim in ((i, 1), (j, 0)):
            if early_only:
                _drop_late(bounds[block], above[block], positives[block])
            count(above[block], s, bounds[block], dim)
    filled = np.arange(side) < sizes[:, None]  # (blocks, side)
    # Samples without a positive come first; they are references only.
    lone = len(classes.references) - len(classes.queries)
    yield _ranks(classes, slice(None), above[filled][lone:])


def _drop_late(bounds: Tensor, above: CountsAbove, positives: np.ndarray) -> None:
    """Set bounds (n, P) of a rank that has reached the number of positives (n,) to infinity.

    Few negatives are above those that remain, so that there is little left to count. The first
    stays, because its rank is of interest wherever it is.
    """
    ranks = above.strict + np.arange(above.strict.shape[1])  # (n, P)
    late = ranks[:, 1 : bounds.shape[1]] >= positives[:, None]
    bounds[:, 1:].masked_fill_(torch.from_numpy(late).to(bounds.device), torch.inf)


def _cut_between_classes(starts: np.ndarray, most: int) -> np.ndarray:
    """Cut sorted samples into blocks of at most ``most``, none of which splits a class."""
    cuts = [0]
    while cuts[-1] < starts[-1]:
        cuts.append(int(starts[np.searchsorted(starts, cuts[-1] + most, side='right') - 1]))
    return np.array(cuts)
