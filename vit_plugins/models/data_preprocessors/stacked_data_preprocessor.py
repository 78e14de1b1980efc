"""The host's preprocessor for batches that were stacked in the worker."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.registry import MODELS
from torch import Tensor

from ...structures import DataSampleBatch


@MODELS.register_module()
class StackedDataPreprocessor(ClsDataPreprocessor):
    """``ClsDataPreprocessor`` for the batches of ``stacked_collate``, with the same results.

    Pixels are normalised and padded, mixup and CutMix draw and mix exactly as in the host's;
    labels and scores stay one tensor for the batch instead of one for each image. Batches that
    are lists go the host's own way.

    Args:
        **kwargs: As of ``ClsDataPreprocessor``: mean, std, pad_size_divisor, pad_value, to_rgb,
            to_onehot, num_classes, batch_augments.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._non_blocking = True  # pinned memory is copied while the CPU goes on

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the batch on the model's device, ready for the model.

        Args:
            data: ``inputs`` (B, C, H, W) and ``data_samples``.
            training: Whether to mix the images of the batch.
        """
        samples = data.get('data_samples')
        if not isinstance(samples, DataSampleBatch):
            return super().forward(data, training)
        inputs = super().forward({'inputs': data['inputs']})['inputs']
        score = self._place_labels(samples)
        if training and self.batch_augments is not None and score is not None:
            inputs, score = self.batch_augments(inputs, score)
        if score is not None:
            samples.set_field('gt_score', score)
            samples.set_metainfo('num_classes', score.shape[1])  # as set_gt_score does
        return {'inputs': inputs, 'data_samples': samples}

    def _place_labels(self, samples: DataSampleBatch) -> Tensor | None:
        """Put labels and scores on the device; return the scores (B, classes), if any."""
        label, score = samples.fields.get('gt_label'), samples.fields.get('gt_score')
        if label is not None:
            label = label.to(self.device, non_blocking=True)
            samples.set_field('gt_label', label)
        if score is not None:
            return score.to(self.device, non_blocking=True)
        if not self.to_onehot or label is None:
            return None
        num_classes = self.num_classes or (samples.metainfo.get('num_classes') or [None])[0]
        if num_classes is None:
            raise ValueError(
                'Labels cannot be made one-hot without the number of classes: set num_classes '
                'in data_preprocessor.'
            )
        return F.one_hot(label, num_classes).sum(dim=1)  # (B, 1, classes) -> (B, classes)
