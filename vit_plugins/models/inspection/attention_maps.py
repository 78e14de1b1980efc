"""Read the attention maps of a model on images, layer by layer while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...evaluation.functional.attention_distance import without_extra_tokens
from ..layers.gpsa import GPSA
from .attention_readers import READERS, Read, read_on_tokens

READABLE = 'ConViT, ViT, DeiT and DeiT III, hybrid ViT, T2T-ViT, Swin and CvT'
T = TypeVar('T')


class NothingToReadError(ValueError):
    """A model lacks what was asked for; the message says which models have it."""


@dataclass(frozen=True)
class LayerAttention:
    """The attention of one layer on a batch of images.

    Attributes:
        name: The name of the module within the backbone.
        values: Rows that sum to 1, shape (B, h, E + N, E + M), at least float32.
        grid: (H, W) of the N query patches.
        num_extra_tokens: E, class and distillation tokens before the patches.
        key_grid: (H', W') of the M key patches, which are fewer in CvT.
        key_step: Rows and columns of ``grid`` between neighbouring keys.
        gates: Share of the positional part of each head (h,); None if there is no gate.
    """

    name: str
    values: Tensor
    grid: tuple[int, int]
    num_extra_tokens: int
    key_grid: tuple[int, int]
    key_step: int
    gates: Tensor | None

    @property
    def patches(self) -> Tensor:
        """Attention among the patches alone; rows sum to 1, shape (B, h, N, M)."""
        return without_extra_tokens(self.values, self.num_extra_tokens)

    def of_query(self, row: int, column: int) -> Tensor:
        """Return what one patch attends to among the patches, (B, h, H', W').

        The share of class tokens is left out, and the rest is not rescaled.

        Args:
            row: Row of the patch in ``grid``.
            column: Its column.
        """
        query = self.num_extra_tokens + row * self.grid[1] + column
        return self.values[:, :, query, self.num_extra_tokens :].unflatten(-1, self.key_grid)

    @property
    def of_class_token(self) -> Tensor | None:
        """Attention of the class token to the patches, (B, h, H', W'); None without one."""
        if not self.num_extra_tokens:
            return None
        return self.values[:, :, 0, self.num_extra_tokens :].unflatten(-1, self.key_grid)


def _whole(layer: LayerAttention) -> LayerAttention:
    return layer


def read_attention(
    model: nn.Module, images: Tensor, keep: Callable[[LayerAttention], T] = _whole
) -> list[T]:
    """Run the backbone of a model and read the attention of each of its layers.

    Each layer reads its real input: the tokens that the layers before it return.

    Args:
        model: A classifier, a retriever or a backbone; it stays in its mode, and is run in
            evaluation mode.
        images: Preprocessed, shape (B, C, H, W).
        keep: Function that returns what to keep of a layer, so that only one layer's maps are in
            memory at a time.

    Returns:
        One item for each layer, first layers first.

    Raises:
        NothingToReadError: If no layer has attention that can be read.
    """
    backbone = getattr(model, 'backbone', model)
    kept: list[T] = []
    grids: list[tuple[int, int]] = []  # grid of the tokens, once they are embedded

    def remember_grid(module: nn.Module, args: tuple, output: Any) -> None:
        if isinstance(output, tuple):
            grids.append(tuple(output[1]))

    def read(name: str, module: nn.Module, args: tuple) -> None:
        found = READERS[_kind(module)](module, *args, grid=grids[-1] if grids else None)
        if found is not None:
            kept.append(keep(_layer(name, module, found)))

    with ExitStack() as stack:
        stack.enter_context(evaluating(backbone))
        for name in ('patch_embed', 'tokens_to_token'):
            if isinstance(embed := getattr(backbone, name, None), nn.Module):
                stack.callback(embed.register_forward_hook(remember_grid).remove)
        for name, module in attending_modules(backbone):
            handle = module.register_forward_pre_hook(partial(read, name))
            stack.callback(handle.remove)
        backbone(images)
    if not kept:
        raise NothingToReadError(
            f'{type(backbone).__name__} has no attention that can be read: {READABLE} have'
        )
    return kept


def read_official_attention(
    model: nn.Module, images: Tensor, keep: Callable[[LayerAttention], T] = _whole
) -> list[T]:
    """Read attention as ConViT's released code does for its non-locality curves.

    There, every layer reads the output of the patch embedding: no position embedding, no norm,
    no layer before it, no class token. Such values are not those of :func:`read_attention`.

    Args:
        model: A classifier, a retriever or a backbone, run in evaluation mode.
        images: Preprocessed, shape (B, C, H, W).
        keep: Function that returns what to keep of a layer.

    Raises:
        NothingToReadError: If the layers do not all read tokens of one width.
    """
    backbone = getattr(model, 'backbone', model)
    embed = getattr(backbone, 'patch_embed', getattr(backbone, 'tokens_to_token', None))
    modules = [(n, m) for n, m in attending_modules(backbone) if not n.startswith('tokens_to_')]
    if embed is None or not modules or not all(read_on_tokens(m) for _, m in modules):
        raise NothingToReadError(
            f"mode='official' feeds the patch embedding to every layer, which "
            f'{type(backbone).__name__} does not allow: ConViT, ViT, DeiT, hybrid ViT and T2T-ViT '
            "do; take mode='propagated'"
        )
    with evaluating(backbone):
        tokens, grid = embed(images)
        return [
            keep(_layer(name, module, READERS[_kind(module)](module, tokens, grid, grid=grid)))
            for name, module in modules
        ]


def attending_modules(backbone: nn.Module) -> list[tuple[str, nn.Module]]:
    """List the modules of a backbone whose attention can be read, with their names.

    Args:
        backbone: The backbone.
    """
    return [(name, m) for name, m in backbone.named_modules() if _kind(m) is not None]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Run a module in evaluation mode without gradients, then restore the mode of each part.

    Args:
        module: The module.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _kind(module: nn.Module) -> type[nn.Module] | None:
    return next((kind for kind in READERS if isinstance(module, kind)), None)


def _layer(name: str, module: nn.Module, found: Read) -> LayerAttention:
    rows = found.grid[0] * found.grid[1]
    gates = None
    if isinstance(module, GPSA) and module.mode == 'gpsa':
        gates = module.gates().detach().float()
    return LayerAttention(
        name,
        found.values.to(torch.promote_types(found.values.dtype, torch.float32)),
        found.grid,
        found.values.shape[-2] - rows,
        found.key_grid or found.grid,
        found.key_step,
        gates,
    )
