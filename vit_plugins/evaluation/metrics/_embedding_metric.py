"""Base class of the metrics of embeddings: percent, each sample once, with ties reported."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmengine.device import get_device
from mmengine.evaluator import BaseMetric

from ..functional.sample_collection import merge_batches, pack_batch
from ..functional.vectors import SIMILARITIES

SHOWN = 0.005  # percent; a smaller difference is not reported


class EmbeddingMetric(BaseMetric):
    """A metric that needs the embeddings of all samples at once.

    Args:
        similarity: ``'cosine'``, or ``'dot'`` to use the embeddings without normalisation.
        device: Where to compute; None takes a GPU if there is one, else the CPU.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If the similarity is unknown.
    """

    truth: ClassVar[str]  # the field of a sample with the correct answer

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
        """Keep the needed values of a batch.

        Args:
            data_batch: Not used.
            data_samples: The predictions of the model.
        """
        self.results.append(pack_batch(data_samples, self.truth))

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the scores of all samples of all ranks.

        Args:
            size: Number of samples in the dataset.

        Returns:
            The metrics by name, on each rank.
        """
        self._size = size
        # The host drops everything after `size`, whatever is repeated; here the index decides.
        return super().evaluate(sys.maxsize)

    def samples(self, results: list[dict]) -> dict:
        """Return the samples of all batches, each once even if a sampler repeated it.

        Args:
            results: The values that ``process`` kept of each batch.
        """
        return merge_batches(results, self._size)

    @property
    def computing_device(self) -> str:
        """The device on which the scores are computed."""
        return self.device or get_device()


def percents(
    pessimistic: Mapping[str, float], optimistic: Mapping[str, float]
) -> dict[str, float]:
    """Return scores in percent, and as ``NAME_optimistic`` those that ties could raise.

    Args:
        pessimistic: Shares by name, with ties decided against the model.
        optimistic: Shares by name, with ties decided for the model.
    """
    found = {name: 100 * value for name, value in pessimistic.items()}
    for name, value in optimistic.items():
        if 100 * value - found[name] >= SHOWN:
            found[f'{name}_optimistic'] = 100 * value
    return found
