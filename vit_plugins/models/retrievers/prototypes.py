"""Encode the gallery of the host's retrieval inferencer once."""

from __future__ import annotations

from functools import partial

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from ...evaluation.functional.encoding import encode_batches
from ...weights.safe_reading import load_checkpoint_file


def encode_prototypes(model: BaseModel, source: DataLoader | dict | str | Tensor | None) -> Tensor:
    """Return the descriptors of the gallery's images.

    Args:
        model: A retriever, whose ``forward(mode='tensor')`` returns descriptors (N, D).
        source: The images as a dataloader or the config of one, or their descriptors (M, D), as a
            tensor or a file of one.

    Returns:
        Descriptors (M, D) on the device of the model, in the order of ``sample_idx``.

    Raises:
        ValueError: If there is no source, or the samples have no index.
    """
    if source is None:
        raise ValueError(
            'There are no images to be found yet: give ImageRetrievalInferencer a prototype, or '
            'search photos with tools/retrieve.py'
        )
    device = next(model.parameters()).device
    if isinstance(source, str):
        source = load_checkpoint_file(source, device)
    if isinstance(source, Tensor):
        return source.to(device)
    return _encode(model, Runner.build_dataloader(source))


def _encode(model: BaseModel, loader: DataLoader) -> Tensor:
    found: dict[int, Tensor] = {}
    encode = partial(model, mode='tensor')
    for descriptors, samples in encode_batches(model, loader, encode):
        if any('sample_idx' not in sample for sample in samples):
            raise ValueError(
                "The images to be found do not say which they are: add 'sample_idx' to the "
                'meta_keys of PackInputs in their pipeline'
            )
        found.update(zip((int(s.sample_idx) for s in samples), descriptors, strict=True))
    return torch.stack([found[index] for index in sorted(found)])
