"""Train a linear projection of frozen features with the losses of IRT."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ...datasets.samplers.m_per_class_sampler import MPerClassSampler
from ...evaluation.functional.pca import fit_pca
from ...models.heads.contrastive_retrieval_head import ContrastiveRetrievalHead
from ...models.losses.contrastive_loss import ContrastiveLoss
from ...models.losses.koleo_loss import KoLeoLoss
from ...models.memories.cross_batch_memory import CrossBatchMemory


@dataclass(frozen=True)
class Training:
    """The settings with which a projection is trained.

    Attributes:
        dims: Width of the descriptor.
        margin: β of the contrastive loss, a cosine.
        koleo: λ of KoLeo; 0 is IRT_L, more is IRT_R.
        rate: Learning rate of AdamW, constant.
        steps: Iterations.
        batch_size: Photos of an iteration.
        samples_per_class: Photos of each class in an iteration.
        weight_decay: The weight decay of AdamW.
        memory: Number of embeddings in the memory.
    """

    dims: int
    margin: float
    koleo: float
    rate: float
    steps: int
    batch_size: int
    samples_per_class: int
    weight_decay: float
    memory: int


@dataclass(frozen=True)
class LabelledVectors(Sized):
    """Vectors with labels, in the form that samplers of batches read.

    Attributes:
        vectors: Shape (N, D).
        labels: Shape (N,).
    """

    vectors: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> Tensor:
        """Return the labels."""
        return self.labels


def pca_layer(vectors: Tensor, dims: int, whiten: bool = False) -> nn.Linear:
    """Return a layer that maps vectors to their principal components.

    Args:
        vectors: The vectors to fit, (N, D).
        dims: Number of components.
        whiten: Whether to scale each component to variance 1.
    """
    mean, projection = fit_pca(vectors, dims, whiten)
    layer = nn.Linear(vectors.shape[1], dims)
    with torch.no_grad():
        layer.weight.copy_(projection)
        layer.bias.copy_(-projection @ mean)
    return layer


def train_projection(data: LabelledVectors, training: Training, seed: int) -> nn.Linear:
    """Train a projection that starts as PCA, by Eq. (1) and (5) of IRT with a memory.

    Args:
        data: The frozen features to train on.
        training: The settings.
        seed: The seed of the batches.
    """
    layer = pca_layer(data.vectors, training.dims)
    head = ContrastiveRetrievalHead(
        ContrastiveLoss(margin=training.margin),
        memory=CrossBatchMemory(training.memory),
        koleo=KoLeoLoss(training.koleo) if training.koleo else None,
    )
    optimizer = torch.optim.AdamW(
        layer.parameters(), lr=training.rate, weight_decay=training.weight_decay
    )
    sampler = iter(
        MPerClassSampler(
            data, training.batch_size, training.samples_per_class, infinite=True, seed=seed
        )
    )
    for _ in range(training.steps):
        chosen = [next(sampler) for _ in range(training.batch_size)]
        samples = [DataSample().set_gt_label(label) for label in data.labels[chosen].tolist()]
        found = head.loss((layer(data.vectors[chosen]),), samples)
        loss = sum(value for name, value in found.items() if 'loss' in name)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer.requires_grad_(False)
