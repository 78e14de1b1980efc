"""A batch of validation images, sampled at random."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.runner import Runner, autocast
from torch.utils.data import DataLoader


def sample_indices(size: int, count: int, seed: int) -> list[int]:
    """Sample pairs of neighbours anywhere in a dataset.

    Most datasets list their images class by class: the first images are of one class. Neighbours
    mostly share a class, which a retrieval metric needs.

    Args:
        size: Number of images in the dataset.
        count: Number of images wanted.
        seed: The seed.

    Returns:
        Sorted indices, ``min(size, count)`` of them.

    >>> sample_indices(3, 8, seed=0)
    [0, 1, 2]
    """
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = dict.fromkeys(j for i in order for j in (i - i % 2, i - i % 2 + 1) if j < size)
    return sorted(list(chosen)[:count])


def sample_batch(loader: DataLoader, seed: int) -> Any:
    """Load a batch sampled at random, in this process.

    Args:
        loader: A dataloader whose dataset is fetched from by an index.
        seed: The seed.
    """
    count = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    indices = sample_indices(len(loader.dataset), count, seed)
    return loader.collate_fn([loader.dataset[index] for index in indices])


@torch.no_grad()
def sample_metrics(runner: Runner) -> dict[str, float]:
    """Score the model as it is on a random batch, beside all hooks.

    Args:
        runner: A runner whose validation loop is built.

    Raises:
        ValueError: If a metric cannot score so few images.
    """
    loop = runner.val_loop
    was_training = runner.model.training
    runner.model.eval()
    batch = sample_batch(loop.dataloader, runner.seed + runner.rank)
    with autocast(enabled=getattr(loop, 'fp16', False)):
        outputs = runner.model.val_step(batch)
    loop.evaluator.process(data_samples=outputs, data_batch=batch)
    try:
        return loop.evaluator.evaluate(len(outputs) * runner.world_size)
    finally:
        runner.model.train(was_training)
        for metric in loop.evaluator.metrics:
            metric.reset() if hasattr(metric, 'reset') else metric.results.clear()
