"""A batch of validation images, sampled at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import Runner, autocast
from torch.utils.data import DataLoader


def sample_indices(size: int, count: int, seed: int) -> list[int]:
    """Sample pairs of neighbours anywhere in a dataset.

    Most datasets list their images class by class, so the first images are all of one class.
    Neighbours mostly share a class, which a retrieval metric needs.

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


def rank_share(indices: list[int], rank: int, ranks: int) -> list[int]:
    """Return the part of a sample that a rank scores.

    The parts are disjoint and of equal size, because the host's metrics merge them in turns. If
    there are fewer images than ranks, some ranks score the same image.

    Args:
        indices: The sample, the same on all ranks.
        rank: The rank.
        ranks: Number of ranks.

    >>> [rank_share([2, 3, 6, 7], rank, ranks=2) for rank in range(2)]
    [[2, 3], [6, 7]]
    """
    share = len(indices) // ranks
    return indices[rank * share : (rank + 1) * share] or [indices[rank % len(indices)]]


def sample_batch(loader: DataLoader, seed: int) -> Any:
    """Load this rank's batch of a sample that is chosen once for all ranks.

    Args:
        loader: A dataloader whose dataset can be indexed.
        seed: The seed; that of rank 0 is used.
    """
    drawn = [sample_indices(len(loader.dataset), _sample_size(loader), seed)]
    broadcast_object_list(drawn)  # the seeds of the ranks may differ
    indices = rank_share(drawn[0], get_rank(), get_world_size())
    return loader.collate_fn([loader.dataset[index] for index in indices])


def _sample_size(loader: DataLoader) -> int:
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    return batch_size * get_world_size()


class UnscoredSampleError(ValueError):
    """A metric cannot score so few images; raised on all ranks."""


def evaluate_sample(evaluator: Evaluator, size: int) -> dict[str, float]:
    """Compute the scores of a processed sample, with the same outcome on all ranks.

    The host's metrics compute on rank 0 while the others wait for the result. An error there
    must not keep rank 0 from sending, so the error is sent instead.

    Args:
        evaluator: The evaluator.
        size: Number of images of the sample, of all ranks.

    Raises:
        UnscoredSampleError: If a metric raises a ``ValueError``, such as for a query without an
            answer.
    """
    with _noted_errors(evaluator.metrics) as errors:
        found = evaluator.evaluate(size)
    sent = ['; '.join(errors)]
    broadcast_object_list(sent)
    if sent[0]:
        raise UnscoredSampleError(sent[0])
    return found


@contextmanager
def _noted_errors(metrics: Iterable[Any]) -> Iterator[list[str]]:
    """Keep what ``compute_metrics`` raises instead of raising it."""
    errors: list[str] = []

    def noting(compute):
        def compute_metrics(results: list) -> dict:
            try:
                return compute(results)
            except ValueError as error:
                errors.append(str(error) or repr(error))
                return {}

        return compute_metrics

    wrapped = list(_host_metrics(metrics))
    for metric in wrapped:
        metric.compute_metrics = noting(metric.compute_metrics)
    try:
        yield errors
    finally:
        for metric in wrapped:
            del metric.compute_metrics  # the class has its own


def _host_metrics(metrics: Iterable[Any]) -> Iterator[BaseMetric]:
    for metric in metrics:
        if isinstance(metric, BaseMetric):
            yield metric
        for group in getattr(metric, '_metrics', {}).values():  # of a MultiTasksMetric
            yield from _host_metrics(group)


@torch.no_grad()
def sample_metrics(runner: Runner) -> dict[str, float]:
    """Score the present model on a random sample, without running hooks.

    Args:
        runner: A runner whose validation loop is built.

    Raises:
        UnscoredSampleError: If a metric cannot score so few images.
    """
    loop = runner.val_loop
    was_training = runner.model.training
    runner.model.eval()
    batch = sample_batch(loop.dataloader, runner.seed)
    with autocast(enabled=getattr(loop, 'fp16', False)):
        outputs = runner.model.val_step(batch)
    loop.evaluator.process(data_samples=outputs, data_batch=batch)
    try:
        return evaluate_sample(loop.evaluator, sampled_images(loop.dataloader))
    finally:
        runner.model.train(was_training)
        for metric in loop.evaluator.metrics:
            metric.reset() if hasattr(metric, 'reset') else metric.results.clear()


def sampled_images(loader: DataLoader) -> int:
    """Return how many different images the ranks score together.

    Args:
        loader: The dataloader from which they are sampled.
    """
    size, ranks = min(len(loader.dataset), _sample_size(loader)), get_world_size()
    return size // ranks * ranks or size
