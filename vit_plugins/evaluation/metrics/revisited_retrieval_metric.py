"""The Revisited Oxford and Paris benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import METRICS

from ..functional.revisited_protocol import revisited_scores
from ..functional.sample_collection import split_roles
from ._embedding_metric import EmbeddingMetric, percents


@METRICS.register_module()
class RevisitedRetrievalMetric(EmbeddingMetric):
    """MAP and mP@k of the protocols Easy, Medium and Hard, in percent.

    It reads ``embedding``, ``sample_idx``, ``role`` and ``image_idx`` of each sample; the last is
    its index in the dataset's list of queries or of images. The positives of each query come from
    the dataset's metainfo ``revisited_gnd``: a list of one dict per query, with ``easy``, ``hard``
    and ``junk``, indices of images. :func:`revisited_scores` describes the scores. Ties are
    decided against the model; if the other decision gives a higher score, it is reported as
    ``hard/mAP_optimistic``.

    Args:
        topk: The k of mP@k.
        similarity: ``'cosine'``, or ``'dot'`` to use the embeddings without normalisation.
        device: Where to compute; None takes a GPU if there is one, else the CPU.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If a k or the similarity is invalid; at the end of an epoch, if samples are not
            as described.
    """

    default_prefix = 'revisited'
    truth = 'image_idx'

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10),
        similarity: str = 'cosine',
        device: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(similarity, device, collect_device, prefix, collect_dir)
        if any(k < 1 for k in topk):
            raise ValueError(f'topk must be numbers of at least 1, got {topk!r}')
        self.topk = tuple(topk)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the scores of all queries.

        Args:
            results: The values that ``process`` kept of each batch.

        Returns:
            Percent by name.
        """
        gnd = (self.dataset_meta or {}).get('revisited_gnd')
        if gnd is None:
            raise ValueError(
                "RevisitedRetrievalMetric needs the dataset's metainfo 'revisited_gnd': use it "
                'with a dataset of the Revisited benchmark, and RetrievalMetric with others'
            )
        samples = self.samples(results)
        roles = split_roles(samples['role'])
        if roles is None:
            raise ValueError("no sample has a role: PackInputs needs 'role' among its meta_keys")
        parts = [
            in_list_order(samples['embedding'][part], samples['image_idx'][part], name)
            for name, part in zip(('queries', 'images'), roles, strict=True)
        ]
        against, in_favour = (
            revisited_scores(
                *parts,
                gnd,
                self.topk,
                similarity=self.similarity,
                optimistic=decided_for,
                device=self.computing_device,
            )
            for decided_for in (False, True)
        )
        return percents(against, in_favour)

    def __repr__(self) -> str:
        return (
            f'RevisitedRetrievalMetric(topk={self.topk}, similarity={self.similarity!r}, '
            f'device={self.device!r})'
        )


def in_list_order(embeddings: np.ndarray, places: np.ndarray, name: str) -> np.ndarray:
    """Return embeddings sorted by their position in a list that they fill.

    Args:
        embeddings: Shape (n, D).
        places: The position of each, 0 to n - 1 in any order, shape (n,).
        name: Their name in the message.

    Raises:
        ValueError: If a position is missing or occurs twice.
    """
    order = np.argsort(places, kind='stable')
    if not np.array_equal(places[order], np.arange(len(places))):
        raise ValueError(
            f'the image_idx of {len(places)} {name} are not 0 to {len(places) - 1}, each once: '
            'the whole benchmark must be evaluated, in one dataset'
        )
    return embeddings[order]
