"""Predict offsets between patches with a DRLoc head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ..heads.drloc_head import DRLocHead
from ..losses.drloc_formulas import sample_pairs
from .attention_maps import NothingToReadError, evaluating


@dataclass(frozen=True)
class Offsets:
    """Predicted and true offsets of pairs of cells.

    Attributes:
        predicted: (rows, columns) in cells, float32, shape (n, 2).
        true: The true offsets in the same form, whole numbers, shape (n, 2).
        grid: Rows and columns of the grid.
        signed: Whether offsets have a sign; if not, both are absolute values.
    """

    predicted: Tensor
    true: Tensor
    grid: tuple[int, int]
    signed: bool


def localizing_head(model: nn.Module) -> DRLocHead:
    """Return the DRLoc head of a model.

    Args:
        model: The classifier.

    Raises:
        NothingToReadError: If it has no such head.
    """
    head = getattr(model, 'head', None)
    if not isinstance(head, DRLocHead):
        found = f'the head of {type(model).__name__} is {type(head).__name__}'
        raise NothingToReadError(
            f'{found if head is not None else type(model).__name__ + " has no head"}: offsets are '
            'predicted by DRLocHead alone, as in the recipes of configs/drloc'
        )
    return head


def predict_offsets(
    model: nn.Module,
    images: Tensor,
    data_samples: list[DataSample],
    num_pairs: int = 256,
    seed: int = 0,
    level: int = -1,
) -> Offsets:
    """Predict the offsets of random pairs of cells on images.

    Args:
        model: A classifier with DRLocHead, run in evaluation mode.
        images: Preprocessed, shape (B, C, H, W).
        data_samples: Their samples, with ``img_shape``.
        num_pairs: Pairs for each image.
        seed: Chooses the pairs; the global random streams do not change.
        level: The level of tokens, if the head localizes several.

    Raises:
        NothingToReadError: If the model has no such head.
    """
    head = localizing_head(model)
    head.attach(model)
    drloc = head.drlocs[level]
    with evaluating(model):
        grid = head.token_grids(model.backbone(images), data_samples)[level]
        size = drloc.pooled_size(grid)
        generator = torch.Generator().manual_seed(seed)
        pairs = sample_pairs(num_pairs, *size, len(images), generator=generator)
        predicted, true = drloc.predict(grid, pairs.to(grid.device))
    return Offsets(predicted.float().cpu(), true.cpu(), size, drloc.signed)
