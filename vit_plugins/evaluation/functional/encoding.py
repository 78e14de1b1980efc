"""Encode images with a model: one loop for hooks, probes and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_gather, all_gather_object, get_dist_info, is_main_process
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from ...fileio.progress_bar import tracked
from .sample_collection import merge_batches, pack_batch


@torch.no_grad()
def encode_batches(
    model: nn.Module,
    batches: Iterable[dict],
    encode: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[tuple[Tensor, Sequence[DataSample]]]:
    """Encode batches one after the other, in evaluation mode and without gradients.

    Args:
        model: A model with ``data_preprocessor`` and ``extract_feat``; its mode is restored.
        batches: The batches of a loader.
        encode: Function from preprocessed images (B, C, H, W) to features (B, D). Default:
            ``model.extract_feat``.

    Yields:
        Features (B, D) and the samples of the batch.
    """
    encode = encode or model.extract_feat
    training = model.training
    model.eval()
    try:
        for batch in batches:
            packed = model.data_preprocessor(batch, False)
            yield encode(packed['inputs']), packed.get('data_samples')
    finally:
        model.train(training)


def collect_features(model: nn.Module, loader: DataLoader) -> dict[str, np.ndarray]:
    """Encode a dataset on all ranks together, each image once.

    Args:
        model: A model with ``data_preprocessor`` and ``extract_feat``; its mode is restored.
        loader: The images; each rank has some of them.

    Returns:
        On each rank ``'embedding'``, the features (N, D), ``'sample_idx'``, ``'role'`` and, if
        there are any, ``'gt_label'`` of all samples, sorted by index.
    """
    batches = []
    shown = tracked(loader, len(loader), 'Encoding', None if is_main_process() else False)
    for features, data_samples in encode_batches(model, shown):
        samples = [
            {**sample.to_dict(), 'embedding': feature}
            for sample, feature in zip(data_samples, features, strict=True)
        ]
        batches.append(pack_batch(samples, *({'gt_label'} & samples[0].keys())))
    gathered = [batch for batches in all_gather_object(batches) for batch in batches]
    return merge_batches(gathered, len(loader.dataset))


def collect_descriptors(
    model: nn.Module, dataset: Dataset, indices: list[int], batch_size: int, num_workers: int
) -> Tensor:
    """Encode chosen images, some of them on each rank; all ranks get all descriptors.

    Args:
        model: A model with ``data_preprocessor`` and ``extract_feat``, such as an
            ``EmbeddingRetriever``; its mode is restored.
        dataset: The images.
        indices: The indices of the chosen images, in this order.
        batch_size: The number of images in a batch.
        num_workers: The number of processes that load images.

    Returns:
        Descriptors (N, D), l2-normalised, in float32. They are those that a loss compares, without
        PCA, which is fitted after training.
    """
    rank, world_size = get_dist_info()
    count = len(indices)
    padded = [indices[i % count] for i in range(-(-count // world_size) * world_size)]
    loader = DataLoader(
        Subset(dataset, padded[rank::world_size]),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=pseudo_collate,
    )
    share = [F.normalize(found.float(), dim=1) for found, _ in encode_batches(model, loader)]
    shares = torch.stack(all_gather(torch.cat(share)))  # (W, N / W, D)
    return shares.transpose(0, 1).flatten(0, 1)[:count]  # (N, D), in the order of indices
