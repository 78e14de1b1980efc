"""A metric of how well embeddings find images of the same class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mmpretrain.registry import METRICS

from ...datasets.unfit_data import UnfitDataError
from ..functional.retrieval_scores import (
    RETRIEVAL_METRICS,
    check_metrics,
    retrieval_scores,
)
from ..functional.sample_collection import split_roles
from ._embedding_metric import EmbeddingMetric, percents


@METRICS.register_module()
class RetrievalMetric(EmbeddingMetric):
    """Recall@K, P@1, MAP@R, R-precision and mAP in percent, exact, in bounded memory.

    It reads ``embedding``, ``gt_label``, ``sample_idx`` and, if there is one, ``role`` of each
    sample. Without roles each sample is searched among all others (CUB-200, Stanford Online
    Products); with roles the queries are searched in the gallery (In-Shop). Samples that a
    distributed sampler repeated count once. :func:`retrieval_scores` describes the scores.

    Ties between correct and wrong images are decided against the model. If the other decision
    gives a higher score, it is reported, too, as ``Recall@1_optimistic``. A collapsed encoder
    therefore scores 0. Queries that have nothing to find are left out and counted as
    ``queries_without_positives``.

    Args:
        topk: The K of Recall@K; they may exceed the size of the gallery.
        items: Some of 'Recall', 'P@1', 'MAP@R', 'R-precision' and 'mAP'. Recall and P@1 alone
            take less time.
        similarity: ``'cosine'``, which ignores the length of the embeddings, or ``'dot'`` to use
            them without normalisation.
        device: Where to compute; None takes a GPU if there is one, else the CPU.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If a name or a K is invalid; at the end of an epoch, if samples or roles are
            not as described.
    """

    default_prefix = 'retrieval'
    truth = 'gt_label'

    def __init__(
        self,
        topk: Sequence[int] = (1, 10, 100, 1000),
        items: Sequence[str] = RETRIEVAL_METRICS,
        similarity: str = 'cosine',
        device: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(similarity, device, collect_device, prefix, collect_dir)
        check_metrics(items, topk)
        self.topk = tuple(topk)
        self.items = tuple(items)

    def check_dataset(self, dataset: Any) -> None:
        """Check before a run that there is something to find.

        Args:
            dataset: The images that will be scored.

        Raises:
            UnfitDataError: If no image has another image of its class to find.
        """
        if not hasattr(dataset, 'get_data_info'):
            return
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        if not all('gt_label' in info for info in infos):
            return
        sought = {int(x['gt_label']) for x in infos if x.get('role', 'query') == 'query'}
        found = Counter(int(x['gt_label']) for x in infos if x.get('role', 'gallery') == 'gallery')
        needed = 1 if any('role' in info for info in infos) else 2  # itself and another one
        if not any(found[label] >= needed for label in sought):
            raise UnfitDataError(
                f'Retrieval cannot be scored on these {len(infos)} images of {len(found)} '
                'classes: none has another image of its class to be found. Add images, so that '
                'some class has two, score on other classes, or train with --no-validate.'
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the scores of all samples.

        Args:
            results: The values that ``process`` kept of each batch.

        Returns:
            Percent by name, and the number of queries that were left out.
        """
        samples = self.samples(results)
        embeddings, labels = samples['embedding'], samples['gt_label']
        roles = split_roles(samples['role'])
        parts: tuple = (embeddings, labels)
        if roles is not None:
            parts = tuple(x[part] for part in roles for x in (embeddings, labels))
        scores = retrieval_scores(
            *parts,
            topk=self.topk,
            metrics=self.items,
            similarity=self.similarity,
            device=self.computing_device,
        )
        found = percents(scores.pessimistic, scores.optimistic)
        return {**found, 'queries_without_positives': scores.without_positives}

    def __repr__(self) -> str:
        return (
            f'RetrievalMetric(topk={self.topk}, items={self.items}, '
            f'similarity={self.similarity!r}, device={self.device!r})'
        )
