"""The F1 score of every class, by name."""

from __future__ import annotations

from typing import Any

from mmpretrain.evaluation import SingleLabelMetric
from mmpretrain.registry import METRICS


@METRICS.register_module()
class ClassF1(SingleLabelMetric):
    """F1 of each class under its name, and their mean, in percent.

    The host's ``SingleLabelMetric(average=None)`` prints one list of numbers without names. This
    is the same number, as ``f1/cat: 93.1  f1/dog: 88.0  f1/mean: 90.5``.

    Args:
        max_classes: With more classes than this only the mean is reported, to keep log lines
            short.
        **kwargs: Further arguments of ``SingleLabelMetric``, except ``items`` and ``average``.
    """

    default_prefix = 'f1'

    def __init__(self, max_classes: int = 50, **kwargs: Any) -> None:
        super().__init__(items=('f1-score',), average=None, **kwargs)
        self.max_classes = max_classes

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the scores of all samples.

        Args:
            results: The values that ``process`` kept of each sample.

        Returns:
            F1 in percent by class name, and 'mean'.
        """
        scores = super().compute_metrics(results)['f1-score_classwise']
        names = (self.dataset_meta or {}).get('classes') or map(str, range(len(scores)))
        metrics = {'mean': sum(scores) / len(scores)}
        if len(scores) > self.max_classes:
            return metrics
        return {**dict(zip(names, scores, strict=True)), **metrics}

    def __repr__(self) -> str:
        return f'ClassF1(max_classes={self.max_classes})'
