"""Find the images that the network confuses, before each epoch."""

from __future__ import annotations

from copy import copy

import torch
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, TRANSFORMS

from ...datasets.samplers.tuple_sampler import TupleSampler
from ...evaluation.functional.encoding import collect_descriptors
from ...evaluation.functional.hard_negatives import mine_hard_negatives
from ...weights.bare_model import bare_model


@HOOKS.register_module()
class HardNegativeMiningHook(Hook):
    """Find the negatives of ``TupleSampler`` with the network in its present state.

    Before each epoch the queries and the pool are encoded in evaluation mode, without gradients
    and without random transforms. Each query gets the most similar images of the pool: none of
    its own 3D model, and at most one of every other 3D model. The ranks share the encoding, and
    then all have the same tuples.

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019.

    Args:
        pipeline: The transforms to encode with, as in the test.
        batch_size: Number of images to encode at once.
        num_workers: Number of processes that load them.

    Raises:
        ValueError: If ``batch_size`` is not positive.
    """

    # after the host's hook that sets the epoch of samplers, before hooks that read the batches
    priority = 'LOW'

    def __init__(self, pipeline: list[dict], batch_size: int = 64, num_workers: int = 0) -> None:
        if not batch_size >= 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        self.pipeline = [
            TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline
        ]
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train_epoch(self, runner: Runner) -> None:
        """Complete the tuples of the epoch.

        Args:
            runner: The runner.

        Raises:
            TypeError: If the training data are not sampled by a TupleSampler.
        """
        loader = runner.train_loop.dataloader
        sampler = loader.sampler
        if not isinstance(sampler, TupleSampler):
            raise TypeError(
                f'HardNegativeMiningHook needs a TupleSampler, training draws with '
                f'{type(sampler).__name__}: set train_dataloader.sampler or remove the hook'
            )
        sampler.set_epoch(runner.epoch)
        queries, pool = sampler.draw.pairs[:, 0], sampler.draw.pool
        view = copy(loader.dataset)
        view.pipeline = Compose(self.pipeline)
        view.test_mode = True  # an unreadable image is an error here, not another image
        indices = torch.cat([queries, pool]).tolist()
        features = collect_descriptors(
            bare_model(runner.model), view, indices, self.batch_size, self.num_workers
        )
        models = sampler.models.to(features.device)
        places = mine_hard_negatives(
            features[: len(queries)],
            features[len(queries) :],
            models[queries.to(models.device)],
            models[pool.to(models.device)],
            sampler.num_negatives,
        )
        sampler.set_negatives(pool[places.cpu()])
        nearest = (features[: len(queries)] * features[len(queries) :][places[:, 0]]).sum(1)
        runner.logger.info(
            f'Epoch {runner.epoch + 1}: hard negatives of {len(queries)} queries among '
            f'{len(pool)} images; mean cosine of the hardest {nearest.mean():.4f}'
        )
