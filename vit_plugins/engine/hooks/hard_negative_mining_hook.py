"""Look anew, before each epoch, for the images that the network confuses."""

from __future__ import annotations

from copy import copy

import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.dist import all_gather, get_dist_info
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, TRANSFORMS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from ...datasets.samplers.hard_negatives import mine_hard_negatives
from ...datasets.samplers.tuple_sampler import TupleSampler


@HOOKS.register_module()
class HardNegativeMiningHook(Hook):
    """Find the negatives of ``TupleSampler`` with the network as it is.

    Before each epoch the queries and the pool are encoded in evaluation mode, without gradients
    and without random transforms; each query gets the most similar images of the pool, none of
    its own 3D model and at most one of every other. Ranks share the encoding and then all know
    the same tuples.

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019.

    Args:
        pipeline: The transforms to encode with, those of the test.
        batch_size: How many images to encode at once.
        num_workers: How many processes load them.

    Raises:
        ValueError: If ``batch_size`` is not positive.
    """

    # after the host's hook that tells samplers their epoch, before hooks that read the batches
    priority = 'LOW'

    def __init__(self, pipeline: list[dict], batch_size: int = 64, num_workers: int = 0) -> None:
        if batch_size < 1:
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
            TypeError: If the training data are not drawn by a TupleSampler.
        """
        loader = runner.train_loop.dataloader
        sampler = loader.sampler
        if not isinstance(sampler, TupleSampler):
            raise TypeError(
                f'HardNegativeMiningHook needs a TupleSampler, training draws with '
                f'{type(sampler).__name__}: set train_dataloader.sampler or remove the hook'
            )
        sampler.set_epoch(runner.epoch)
        model = runner.model
        while is_model_wrapper(model):
            model = model.module
        queries, pool = sampler.draw.pairs[:, 0], sampler.draw.pool
        view = copy(loader.dataset)
        view.pipeline = Compose(self.pipeline)
        view.test_mode = True  # an unreadable image is an error here, not another image
        features = encode(
            model, view, torch.cat([queries, pool]).tolist(), self.batch_size, self.num_workers
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


@torch.no_grad()
def encode(
    model: nn.Module, dataset: Dataset, indices: list[int], batch_size: int, num_workers: int
) -> Tensor:
    """Encode images in evaluation mode, each rank a share of them; all get all descriptors.

    Args:
        model: With ``data_preprocessor`` and ``extract_feat``, such as an
            ``EmbeddingRetriever``; its mode of training is kept.
        dataset: The images.
        indices: Which of them, in this order.
        batch_size: How many at once.
        num_workers: How many processes load them.

    Returns:
        Descriptors (N, D), l2-normalised, in float32.
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
    training = model.training
    model.eval()
    parts = []
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        # as the loss compares them: no PCA, which is fitted after training
        parts.append(F.normalize(model.extract_feat(data['inputs']).float(), dim=1))
    model.train(training)
    shares = torch.stack(all_gather(torch.cat(parts)))  # (W, N / W, D)
    return shares.transpose(0, 1).flatten(0, 1)[:count]  # (N, D), in the order of indices
