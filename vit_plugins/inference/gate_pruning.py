"""Remove from a trained ConViT the branches that its gates have closed."""

from __future__ import annotations

from dataclasses import dataclass

from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import DataLoader

from ..models.inspection.attention_maps import evaluating
from ..models.inspection.gates import gated_layers
from ..models.layers.pruned_gpsa import PrunedGPSA


@dataclass(frozen=True)
class PrunedHeads:
    """The heads of a layer after pruning, by what they compute.

    Attributes:
        layer: Name of the layer within the backbone.
        content: Heads that attend by content alone.
        both: Heads that compute both branches.
        position: Heads that attend by position alone.
    """

    layer: str
    content: int
    both: int
    position: int


def prune_gates(model: nn.Module, threshold: float = 0.01) -> list[PrunedHeads]:
    """Replace the GPSA layers of a trained model in place by layers that skip closed branches.

    The result is exact where gates are 0 and 1, see :class:`PrunedGPSA`. After that the model is
    only for inference: its state dict no longer fits a ConViT.

    Args:
        model: A classifier, a retriever or a backbone with GPSA.
        threshold: The distance to 0 or 1 up to which a gate counts as closed, at least 0 and below
            0.5.

    Returns:
        What the heads of each layer now compute.

    Raises:
        NothingToReadError: If the model has no gates.
        ValueError: If the threshold is out of range.
    """
    backbone = getattr(model, 'backbone', model)
    found = []
    for name, gpsa in gated_layers(model).items():
        pruned = PrunedGPSA(gpsa, threshold).train(gpsa.training)
        parent, _, child = name.rpartition('.')
        setattr(backbone.get_submodule(parent), child, pruned)
        counts = pruned.num_content, pruned.num_both, pruned.num_position
        found.append(PrunedHeads(name, *counts))
    return found


def evaluate_on(model: BaseModel, loader: DataLoader, evaluator: Evaluator) -> dict[str, float]:
    """Return the metrics of a model on a dataset.

    Args:
        model: The model.
        loader: The images.
        evaluator: The metrics.
    """
    evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
    with evaluating(model):
        for batch in loader:
            evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
    return evaluator.evaluate(len(loader.dataset))
