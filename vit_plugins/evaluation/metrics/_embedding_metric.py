"""What the metrics of embeddings share: each sample counts once, in percent, ties are shown."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmengine.device import get_device
from mmengine.evaluator import BaseMetric

from ..functional.sample_collection import merge_batches, pack_batch
from ..functional.vectors import SIMILARITIES

SHOWN = 0.005  # percent; a smaller difference is not one to tell


class EmbeddingMetric(BaseMetric):
    """A metric that needs the embeddings of all samples at once.

    Args:
        similarity: ``'cosine'``, or ``'dot'`` to take the embeddings as they are.
        device: Where to compute; a GPU if there is one, else the CPU, if None.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If the similarity is none of those.
    """

    truth: ClassVar[str]  # the field of a sample that says what is right

    def __init__(
        self,
        similarity: str,
        device: str | None,
        collect_device: str,
        prefix: str | None,
        collect_dir: str | None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if similarity not in SIMILARITIES:
            raise ValueError(f'similarity must be one of {SIMILARITIES}, got {similarity!r}')
        self.similarity = similarity
        self.device = device
        self._size = 0

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep what is needed of a batch.

        Args:
            data_batch: Not used.
            data_samples: What the model predicted.
        """
        self.results.append(pack_batch(data_samples, self.truth))

    def evaluate(self, size: int) -> dict[str, float]:
        """Score all samples of all ranks.

        Args:
            size: Number of samples in the dataset.

        Returns:
            The metrics by name, on each rank.
        """
        self._size = size
        # The host cuts off all after `size`, whatever is repeated; here the index tells.
        return super().evaluate(sys.maxsize)

    def samples(self, results: list[dict]) -> dict:
        """Return the samples of all batches, those that a distributed sampler repeated once.

        Args:
            results: What ``process`` kept of each batch.
        """
        return merge_batches(results, self._size)

    @property
    def computing_device(self) -> str:
        """Where the scores are computed."""
        return self.device or get_device()


def percents(
    pessimistic: Mapping[str, float], optimistic: Mapping[str, float]
) -> dict[str, float]:
    """Return scores in percent, and what ties hide as ``NAME_optimistic``.

    Args:
        pessimistic: Shares by name, with ties decided against the model.
        optimistic: The same with ties decided for it.
    """
    found = {name: 100 * value for name, value in pessimistic.items()}
    for name, value in optimistic.items():
        if 100 * value - found[name] >= SHOWN:
            found[f'{name}_optimistic'] = 100 * value
    return found
