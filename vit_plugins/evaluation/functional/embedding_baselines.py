"""Score the embeddings of a model, or raw pixels in their place."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def score_embeddings(
    dataloader: Iterable[dict], evaluator: Evaluator, model: nn.Module | None
) -> dict[str, float]:
    """Evaluate embeddings of a model, or raw pixels.

    Args:
        dataloader: Batches of ``inputs`` and ``data_samples``.
        evaluator: Metrics on embeddings.
        model: The model; raw pixels if None.
    """
    for batch in dataloader:
        if model is None:
            samples = [_with_pixels(*pair) for pair in zip(*batch.values(), strict=True)]
        else:
            samples = model.test_step(batch)
        evaluator.process(data_samples=samples, data_batch=batch)
    return evaluator.evaluate(len(dataloader.dataset))


def _with_pixels(image: Tensor, sample: DataSample) -> DataSample:
    sample = sample.clone()
    sample.set_field(F.normalize(image.flatten().float(), dim=0), 'embedding', dtype=Tensor)
    return sample
