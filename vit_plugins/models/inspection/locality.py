"""Measure how far each head of a model looks on images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from ...evaluation.functional.attention_distance import (
    attention_distance,
    nonlocality,
    uniform_nonlocality,
)
from .attention_maps import LayerAttention, read_attention, read_official_attention

MODES = {'propagated': read_attention, 'official': read_official_attention}


@dataclass(frozen=True)
class Locality:
    """How far heads look, as a mean over images.

    Attributes:
        mode: ``'propagated'`` or ``'official'``, the input of the layers; do not compare values of
            the two modes.
        layers: Names of the layers within the backbone.
        nonlocality: Eq. 8 of ConViT in patches, (h,) for each layer.
        pixels: The same distance in pixels of the image, as ViT reports it, (h,) for each layer.
        uniform: Non-locality of each layer for uniform attention.
    """

    mode: str
    layers: tuple[str, ...]
    nonlocality: tuple[np.ndarray, ...]
    pixels: tuple[np.ndarray, ...]
    uniform: tuple[float, ...]


def measure_locality(model: nn.Module, images: Tensor, mode: str = 'propagated') -> Locality:
    """Measure the non-locality and the attention distance of each layer and head.

    Args:
        model: A classifier, a retriever or a backbone.
        images: Preprocessed, shape (B, C, H, W); they are run one by one to save memory.
        mode: ``'propagated'`` gives each layer the output of the layers before it, and leaves
            class tokens out of the maps; ``'official'`` gives each layer the output of the patch
            embedding, as ConViT's released code does.

    Raises:
        ValueError: If the mode is unknown.
        NothingToReadError: If the model has no attention that can be read in this mode.
    """
    if mode not in MODES:
        raise ValueError(f'mode must be one of {", ".join(MODES)}, got {mode!r}')
    size = tuple(images.shape[-2:])
    rows = [
        MODES[mode](model, image[None], lambda layer: _distances(layer, size)) for image in images
    ]
    first = rows[0]
    return Locality(
        mode,
        tuple(name for name, *_ in first),
        *(
            tuple(np.mean([row[i][part] for row in rows], axis=0) for i in range(len(first)))
            for part in (1, 2)
        ),
        tuple(uniform for *_, uniform in first),
    )


def _distances(
    layer: LayerAttention, size: tuple[int, int]
) -> tuple[str, np.ndarray, np.ndarray, float]:
    patch = tuple(pixels / side for pixels, side in zip(size, layer.grid, strict=True))
    keys = layer.key_grid, layer.key_step
    attention = layer.patches
    return (
        layer.name,
        nonlocality(attention, layer.grid, *keys).cpu().numpy(),
        attention_distance(attention, layer.grid, patch, *keys).cpu().numpy(),
        uniform_nonlocality(layer.grid, *keys),
    )
