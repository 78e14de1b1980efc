"""Time a step of the contrastive loss with a full memory: normalise, store, loss, gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from .comparison import Comparison, Side
from .setting import Setting

ANCHORS = 64
MARGIN = 0.5
MEMORIES = {  # (M, D, classes); 59,551 are the training images of Stanford Online Products
    'toy': ((500, 16, 100),),
    'cpu': ((59_551, 384, 11_318),),
    'gpu': ((59_551, 384, 11_318),),
    'large': ((1_000_000, 384, 100_000),),
    'scaling': tuple((m, 384, m // 5) for m in (10_000, 40_000, 160_000)),
}
TOLERANCE = 1e-3  # float32 sums of 3.8 million terms


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {
        f'contrastive {ANCHORS} x {m} x {dims}': dict(m=m, dims=dims, classes=classes)
        for m, dims, classes in MEMORIES[size]
    }


def build(setting: Setting, *, m: int, dims: int, classes: int) -> Comparison:
    """Return our loss and memory, those of pytorch-metric-learning, and the dense masked form.

    All average over the pairs with a loss above 0 ('mean_active', the default of
    pytorch-metric-learning), so that they compute the same.

    Args:
        setting: The device; the loss is float32 whatever the precision.
        m: Number of embeddings in the memory.
        dims: Width of the embeddings.
        classes: Number of labels.
    """
    stored = F.normalize(torch.randn(m, dims, device=setting.device), dim=1)
    stored_labels = torch.randint(classes, (m,), device=setting.device)
    anchors = torch.randn(ANCHORS, dims, device=setting.device)
    labels = stored_labels[torch.randint(m, (ANCHORS,), device=setting.device)]
    given = (stored, stored_labels, anchors, labels)
    builders = {'ours': _ours, 'pytorch_metric_learning': _metric_learning, 'dense': _dense}
    sides, missing = {}, {}
    for name, builder in builders.items():
        try:
            step = builder(*given)
        except ImportError as error:
            missing[name] = f'{error}'
        else:
            sides[name] = Side(step, step)
    name = f'contrastive {ANCHORS} x {m} x {dims}'
    return Comparison(name, sides, TOLERANCE, images=ANCHORS, missing=missing)


Step = Callable[[], list[Tensor]]


def _ours(stored: Tensor, stored_labels: Tensor, anchors: Tensor, labels: Tensor) -> Step:
    memory = MODELS.build(dict(type='mmpretrain.CrossBatchMemory', size=len(stored)))
    loss = MODELS.build(
        dict(type='mmpretrain.ContrastiveLoss', margin=MARGIN, reduction='mean_active')
    )
    memory.store(stored, stored_labels)

    def step() -> list[Tensor]:
        x = anchors.detach().requires_grad_()
        unit = F.normalize(x, dim=1)
        rows = memory.store(unit, labels)
        references, reference_labels = memory.entries()
        value = loss(unit, references, labels, reference_labels, rows)
        value.backward()
        return [value, x.grad]

    return step


def _metric_learning(
    stored: Tensor, stored_labels: Tensor, anchors: Tensor, labels: Tensor
) -> Step:
    from pytorch_metric_learning import distances, losses

    pairs = losses.ContrastiveLoss(
        pos_margin=1, neg_margin=MARGIN, distance=distances.CosineSimilarity()
    )
    memory = losses.CrossBatchMemory(pairs, stored.shape[1], memory_size=len(stored))
    memory.embedding_memory = stored.clone()
    memory.label_memory = stored_labels.clone()
    memory.has_been_filled = True

    def step() -> list[Tensor]:
        x = anchors.detach().requires_grad_()
        value = memory(F.normalize(x, dim=1), labels)
        value.backward()
        return [value, x.grad]

    return step


def _dense(stored: Tensor, stored_labels: Tensor, anchors: Tensor, labels: Tensor) -> Step:
    references, reference_labels = stored.clone(), stored_labels.clone()
    index = torch.arange(len(anchors), device=stored.device)

    def step() -> list[Tensor]:
        x = anchors.detach().requires_grad_()
        unit = F.normalize(x, dim=1)
        references[: len(x)], reference_labels[: len(x)] = unit.detach(), labels
        similarity = unit @ references.T  # (N, M)
        same = labels[:, None] == reference_labels[None, :]
        pull = (1 - similarity).clamp(min=0) * same
        pull[index, index] = 0  # the anchor itself
        push = (similarity - MARGIN).clamp(min=0) * ~same
        value = sum(cost.sum() / (cost > 0).sum().clamp(min=1) for cost in (pull, push))
        value.backward()
        return [value, x.grad]

    return step
