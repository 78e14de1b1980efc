"""A version of the host's preprocessor for batches that were stacked in the worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.registry import MODELS
from torch import Tensor

from ...datasets.transforms.batch import BatchCompose
from ...structures import DataSampleBatch


@MODELS.register_module()
class StackedDataPreprocessor(ClsDataPreprocessor):
    """``ClsDataPreprocessor`` for the batches of ``stacked_collate``, with the same results.

    Pixels are normalised and padded, and mixup and CutMix sample and mix, exactly as in the
    host's. Labels and scores stay one tensor for the batch instead of one for each image. Batches
    that are lists are handled by the host's own code.

    In training, ``batch_transforms`` augment the uint8 images first, on the model's device, with
    random numbers of its own for each image. They follow from the ``draw_seeds`` of the batch, as
    in :class:`CachedImages`, or else from numpy's stream, which ``SeededDrawsHook`` sets at each
    step.

    Args:
        batch_transforms: Batch transforms or their configs, in order. They receive the channels in
            the dataset's order, before ``to_rgb``.
        **kwargs: Arguments of ``ClsDataPreprocessor``: mean, std, pad_size_divisor, pad_value,
            to_rgb, to_onehot, num_classes, batch_augments.

    Raises:
        TypeError: If an item of ``batch_transforms`` is no batch transform.
    """

    def __init__(self, batch_transforms: Sequence[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_transforms = BatchCompose(batch_transforms) if batch_transforms else None
        self._non_blocking = True  # pinned memory is copied while the CPU continues

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the batch on the model's device, ready for the model.

        Args:
            data: ``inputs`` (B, C, H, W) and ``data_samples``.
            training: Whether to augment and mix the images.

        Raises:
            ValueError: If images of several sizes are to be augmented as a batch.
        """
        if training and self.batch_transforms is not None:
            data = {**data, 'inputs': self._augment(data)}
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

    def _augment(self, data: dict[str, Any]) -> Tensor:
        images = self.cast_data(data['inputs'])
        if not isinstance(images, Tensor):
            sizes = sorted({tuple(image.shape[-2:]) for image in images})
            raise ValueError(
                f'batch_transforms need images of one size, stacked, got a list of {len(images)} '
                f"images of sizes {sizes}: set collate_fn=dict(type='stacked_collate') in the "
                'dataloader and resize to one size in the pipeline.'
            )
        seeds = data.get('draw_seeds')
        if seeds is None:
            seeds = np.random.randint(0, 2**63 - 1, len(images), dtype=np.int64)  # noqa: NPY002
        return self.batch_transforms(images, seeds)

    def _place_labels(self, samples: DataSampleBatch) -> Tensor | None:
        """Move labels and scores to the device; return the scores (B, classes), if any."""
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
