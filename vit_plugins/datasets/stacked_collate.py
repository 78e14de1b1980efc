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

    The host's ``pseudo_collate`` leaves one tensor and one ``DataSample`` an image to the main
    process. Stacked here, in the worker's shared memory, they cost it next to nothing. For the
    loader's ``collate_fn=dict(type='stacked_collate')`` with ``StackedDataPreprocessor``.

    Args:
        samples: What the pipeline made of B images, each with ``inputs`` (C, H, W) and
            ``data_samples``; :class:`StackedItems`, of a dataset that stacks by itself, pass.

    Returns:
        ``inputs`` (B, C, H, W) and ``data_samples``, a :class:`DataSampleBatch`. Images of
        several sizes stay a list, and so do data samples whose fields differ in shape, as the
        labels of images with several classes do; what else there is, is collated as by
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
