"""Collate in the worker, so that a batch reaches the main process as a few tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmpretrain.structures import DataSample

from ..structures import DataSampleBatch, StackedItems


@FUNCTIONS.register_module()
def stacked_collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a batch whose images are one tensor and whose data samples are columns.

    The host's ``pseudo_collate`` leaves one tensor and one ``DataSample`` for each image to the
    main process. Here they are stacked in the worker's shared memory, so that the main process
    has almost no work. A dataloader uses this function with
    ``collate_fn=dict(type='stacked_collate')`` together with ``StackedDataPreprocessor``.

    Args:
        samples: The results of the pipeline for B images, each with ``inputs`` (C, H, W) and
            ``data_samples``. The batch of :class:`StackedItems`, from a dataset that stacks
            images itself, is returned as it is.

    Returns:
        ``inputs`` (B, C, H, W) and ``data_samples``, a :class:`DataSampleBatch`. Images of
        several sizes remain a list. Data samples whose fields differ in shape, such as the labels
        of images with several classes, remain a list as well. Other keys are collated as by
        ``pseudo_collate``.
    """
    if isinstance(samples, StackedItems):
        return samples.batch
    batch = pseudo_collate(samples)
    inputs = batch.get('inputs')
    if _are_alike(inputs):
        batch['inputs'] = torch.utils.data.default_collate(inputs)  # (B, C, H, W)
    data_samples = batch.get('data_samples')
    if isinstance(data_samples, list) and all(type(s) is DataSample for s in data_samples):
        batch['data_samples'] = DataSampleBatch.from_samples(data_samples) or data_samples
    return batch


def _are_alike(inputs: Any) -> bool:
    return (
        isinstance(inputs, list)
        and all(isinstance(x, torch.Tensor) for x in inputs)
        and len({(x.shape, x.dtype) for x in inputs}) == 1
    )
