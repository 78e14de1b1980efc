"""Read the inside of a trained model: gates, how far heads look, what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.utils.data import DataLoader

from ..evaluation.functional.attention_rollout import attention_rollout
from ..inference.inside.shown_photo import pixels_of
from ..models.inspection.attention_maps import (
    LayerAttention,
    NothingToReadError,
    read_attention,
)
from ..models.inspection.gates import Gates, read_gates
from ..models.inspection.locality import Locality, measure_locality

MEASURED = 8  # images whose mean non-locality is shown


@dataclass(frozen=True)
class AttentionExample:
    """A map of what a model looks at in an image.

    Attributes:
        index: The index of the image in the split.
        pixels: The image as the model sees it, RGB (H, W, 3), uint8.
        values: The map (H', W').
    """

    index: int
    pixels: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Inside:
    """What could be read of the inside of a model.

    Attributes:
        gates: The gates of gated positional self-attention; None for a model without it.
        locality: How far heads look; None for a model whose attention cannot be read.
        attention: Examples.
        kind: A description of the maps of the examples.
    """

    gates: Gates | None = None
    locality: Locality | None = None
    attention: tuple[AttentionExample, ...] = ()
    kind: str = ''


def look_inside(model: BaseModel, loader: DataLoader | None, shown: Sequence[int] = ()) -> Inside:
    """Read gates, locality and attention of a model.

    Args:
        model: The model, in evaluation mode.
        loader: Its images; None if they are not available.
        shown: Indices of the images whose attention is shown.
    """
    try:
        gates = read_gates(model)
    except NothingToReadError:
        gates = None
    if loader is None:
        return Inside(gates)
    count = len(loader.dataset)
    spread = np.linspace(0, count - 1, min(MEASURED, count)).astype(int)
    try:
        locality = measure_locality(model, _inputs(model, loader, spread))
        found = [_example(model, loader, index) for index in shown]
    except NothingToReadError:
        return Inside(gates)
    kinds = [kind for _, kind in found]
    return Inside(gates, locality, tuple(one for one, _ in found), kinds[0] if kinds else '')


@torch.no_grad()
def _inputs(model: BaseModel, loader: DataLoader, indices: Sequence[int]) -> Tensor:
    batch = loader.collate_fn([loader.dataset[int(index)] for index in indices])
    return model.data_preprocessor(batch, False)['inputs']


def _example(model: BaseModel, loader: DataLoader, index: int) -> tuple[AttentionExample, str]:
    inputs = _inputs(model, loader, [index])
    values, kind = attention_map(read_attention(model, inputs))
    return AttentionExample(int(index), pixels_of(model, inputs), values), kind


def attention_map(layers: Sequence[LayerAttention]) -> tuple[np.ndarray, str]:
    """Return one map of what a model looks at in an image, and its description.

    Args:
        layers: The attention of its layers on one image.

    Returns:
        The rollout through all layers, of the class token if there is one. For a model that merges
        its patches between layers, it is the mean of the last layer.
    """
    last = layers[-1]
    keep_tokens = all(layer.values.shape[2] == layer.values.shape[3] for layer in layers)
    if not keep_tokens or len({layer.grid for layer in layers}) > 1:
        mean = last.patches.mean(dim=(0, 1, 2))  # over heads and queries: (M,)
        return mean.unflatten(0, last.key_grid).cpu().numpy(), 'mean attention of the last layer'
    rollout = attention_rollout([layer.values for layer in layers])[0]  # (E + N, E + N)
    extra = last.num_extra_tokens
    row = rollout[0] if extra else rollout.mean(0)
    whose = 'class token' if extra else 'mean of the patches'
    values = row[extra:].unflatten(0, last.grid).cpu().numpy()
    return values, f'attention rollout of the {whose} through all layers'
