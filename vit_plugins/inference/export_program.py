"""Trace the network of a trained model as a program with free tensor sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor

from ..models.layers.free_size import is_free, pad_to_patches, resize_positions
from .deployable import Deployable


class ExportError(ValueError):
    """A model cannot be exported as asked; the message says why and what to do."""


@contextmanager
def host_sizes_free() -> Iterator[None]:
    """Free the image size of the host's transformers, too, which branch on the grid."""
    pad = AdaptivePadding.forward

    def forward(self: AdaptivePadding, x: Tensor) -> Tensor:
        return pad_to_patches(self, x) if is_free(*x.shape[-2:]) else pad(self, x)

    with ExitStack() as stack:
        stack.enter_context(patch.object(AdaptivePadding, 'forward', forward))
        for name, module in list(sys.modules.items()):
            found = vars(module).get('resize_pos_embed') if module is not None else None
            if name.startswith('mmpretrain.models.backbones') and found is resize_pos_embed:
                stack.enter_context(patch.object(module, 'resize_pos_embed', resize_positions))
        yield


def export_program(deployable: Deployable, dynamic_size: bool) -> torch.export.ExportedProgram:
    """Trace the network with a free batch size.

    Args:
        deployable: The model.
        dynamic_size: Whether height and width are free, too.

    Raises:
        ExportError: If the network fixes its size.
    """
    height, width = deployable.size
    free = {0: torch.export.Dim('batch', min=1)}
    if dynamic_size:
        # Sizes without a pattern: the tracer would keep any relation that holds by chance.
        height, width = 2 * height + 11, 3 * width + 6
        free |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    images = torch.zeros(2, deployable.channels, height, width)
    network = deployable.network
    try:
        with torch.no_grad(), host_sizes_free():
            return torch.export.export(
                network, (images,), dynamic_shapes=({**free},), strict=False
            )
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError, AssertionError) as error:
        what = 'height and width' if dynamic_size else 'the batch size'
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        advice = 'leave --dynamic-size out' if dynamic_size else 'take --format safetensors'
        raise ExportError(
            f'{type(network.backbone).__name__} cannot be exported with {what} free: {advice} '
            f'({reason})'
        ) from error


def least_size(program: torch.export.ExportedProgram) -> tuple[int, int] | None:
    """Return the smallest height and width that a program accepts; None if they are not free.

    Args:
        program: The result of :func:`export_program`.
    """
    images = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'images')
    sides = images.meta['val'].shape[2:]
    if not is_free(*sides):
        return None
    ranges = [program.range_constraints.get(side.node.expr) for side in sides if is_free(side)]
    if len(ranges) != 2 or None in ranges:
        return None
    return tuple(int(found.lower) for found in ranges)


def other_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return sizes to check a free size with: portrait, landscape, and no multiple of a patch.

    Args:
        size: Usual height and width.

    >>> other_sizes((32, 32))
    [(64, 32), (37, 49)]
    """
    height, width = size
    return [(2 * height, width), (height + 5, 3 * width // 2 + 1)]
