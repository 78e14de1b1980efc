"""Compute GradCAM of classifiers with tokens or with maps, through Captum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from ...models.inspection.attention_maps import (
    LayerAttention,
    NothingToReadError,
    attending_modules,
    evaluating,
    read_attention,
)


@dataclass(frozen=True)
class CamLayer:
    """A module whose output GradCAM weights.

    Attributes:
        name: Its name within the backbone.
        module: The module.
        grid: Rows and columns of its tokens; None if it returns a map (B, D, H, W).
        num_extra_tokens: Class and distillation tokens before those of the patches.
    """

    name: str
    module: nn.Module
    grid: tuple[int, int] | None = None
    num_extra_tokens: int = 0


def grad_cam(
    model: ImageClassifier, image: Tensor, layer: CamLayer, target: int | None = None
) -> tuple[np.ndarray, int]:
    """Compute GradCAM (Selvaraju et al., arXiv 1610.02391): the regions that support a class.

    The channels of the layer are weighted by the mean gradient of the score of the class and
    summed; negative values count as 0.

    Args:
        model: The classifier.
        image: Preprocessed, (1, C, H, W).
        layer: One of :func:`cam_layers`.
        target: Number of the class; None takes the class that the model predicts.

    Returns:
        The map (H', W') over the layer's grid, and the number of the class.

    Raises:
        ImportError: If Captum is missing, with the line that installs it.
        ValueError: If there is no such class.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise ImportError('GradCAM needs Captum: pip install "vit-plugins[look]"') from error

    def scores(images: Tensor) -> Tensor:
        return model(images, mode='tensor')

    with evaluating(model), torch.enable_grad(), as_map(layer) as mapped:
        found = scores(image)
        if target is None:
            target = int(found.argmax())
        if not 0 <= target < found.shape[1]:
            raise ValueError(
                f'there is no class {target}: the model has classes 0 to {found.shape[1] - 1}'
            )
        cam = LayerGradCam(scores, mapped).attribute(
            image.requires_grad_(), target=target, relu_attributions=True
        )
    image.requires_grad_(False)
    return cam[0, 0].detach().float().cpu().numpy(), target


@contextmanager
def as_map(layer: CamLayer) -> Iterator[nn.Module]:
    """Pass the output of a layer through a module that receives it as a map (B, D, H, W).

    Captum expects the channels in the second dimension, which tokens (B, N, D) do not have there.

    Args:
        layer: The layer.

    Yields:
        The module.
    """
    mapped = nn.Identity()

    def lead(module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        if layer.grid is None:
            return mapped(output)
        extra = output[:, : layer.num_extra_tokens]
        patches = output[:, layer.num_extra_tokens :].transpose(1, 2).unflatten(2, layer.grid)
        return torch.cat((extra, mapped(patches).flatten(2).transpose(1, 2)), dim=1)

    handle = layer.module.register_forward_hook(lead)
    try:
        yield mapped
    finally:
        handle.remove()


def cam_layers(model: ImageClassifier, image: Tensor) -> list[CamLayer]:
    """List the layers of a classifier that GradCAM can use; usually the last one is taken.

    For a transformer these are the norms before the attention: after the last attention, the class
    token no longer depends on the patches. For a convolutional network they are the modules that
    return maps, up to two names deep.

    Args:
        model: The classifier.
        image: Preprocessed, (1, C, H, W).

    Raises:
        NothingToReadError: If the model predicts no classes, or has no such layer.
    """
    if not isinstance(model, ImageClassifier) or not model.with_head:
        raise NothingToReadError(
            f'{type(model).__name__} has no scores of classes for GradCAM: classifiers have'
        )
    backbone = model.backbone
    if attending_modules(backbone):
        return read_attention(model, image, lambda layer: _norm_before(backbone, layer))
    found = _maps_of(backbone, image)
    if not found:
        raise NothingToReadError(
            f'{type(backbone).__name__} returns neither tokens nor maps that GradCAM could weigh: '
            'transformers and convolutional networks do'
        )
    return found


def _norm_before(backbone: nn.Module, layer: LayerAttention) -> CamLayer:
    owner = layer.name.removesuffix('.attn')  # CvT's blocks read their own norm
    block = backbone.get_submodule(owner)
    name = next(name for name in ('ln1', 'norm1') if hasattr(block, name))
    extra = layer.num_extra_tokens
    return CamLayer(f'{owner}.{name}', getattr(block, name), layer.grid, extra)


def _maps_of(backbone: nn.Module, image: Tensor) -> list[CamLayer]:
    found: dict[str, CamLayer] = {}
    names = {m: name for name, m in backbone.named_modules() if name and name.count('.') < 2}

    def note(module: nn.Module, args: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found[names[module]] = CamLayer(names[module], module)

    handles = [module.register_forward_hook(note) for module in names]
    try:
        with evaluating(backbone):
            backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())
