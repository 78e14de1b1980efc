"""Embed patches of a convolutional network's feature map instead of patches of the image."""

import math

from mmcv.cnn.bricks.transformer import PatchEmbed
from mmengine.utils import to_2tuple
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._number_checks import check_sizes


@MODELS.register_module()
class HybridPatchEmbed(PatchEmbed):
    """The tokens of a hybrid vision transformer: a stem of convolutions, then patches of its map.

    `Dosovitskiy et al. <https://arxiv.org/abs/2010.11929>`_, section 3.1. ``ConViT``,
    ``DeiT3ViT`` and ``PosEmbedViT`` take it in their ``patch_cfg``. Sizes are in pixels of the
    image, so their ``patch_size`` and ``img_size`` keep their meaning. If the stem has stride 4,
    ``patch_size=4`` makes each cell of the map a token::

        backbone=dict(
            type='ConViT',
            img_size=32,
            patch_size=4,
            patch_cfg=dict(type='HybridPatchEmbed', stem=dict(type='ResidualConvStem')),
        )

    Args:
        stem: Config of a registered stem, or the module: it has ``stride`` and ``out_channels``
            and maps (B, C, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)).
        in_channels: Channels of the image; passed on if ``stem`` is a config without it.
        embed_dims: Width of the tokens.
        kernel_size: Height and width of a patch in pixels, multiples of the stem's stride.
        stride: Pixels from patch to patch, multiples of the stem's stride; None is
            ``kernel_size``.
        input_size: Usual size of the image, an int or (H, W).
        **kwargs: Further arguments of mmcv's PatchEmbed for the patches of the map.

    Raises:
        ValueError: If a patch is no whole number of cells.
    """

    def __init__(
        self,
        stem: dict | nn.Module,
        in_channels: int = 3,
        embed_dims: int = 768,
        kernel_size: int | tuple[int, int] = 16,
        stride: int | tuple[int, int] | None = None,
        input_size: int | tuple[int, int] | None = None,
        **kwargs,
    ):
        check_sizes(in_channels=in_channels, embed_dims=embed_dims, input_size=input_size)
        if isinstance(stem, dict):
            stem = MODELS.build({'in_channels': in_channels, **stem})
        if input_size is not None:
            input_size = tuple(math.ceil(size / stem.stride) for size in to_2tuple(input_size))
        super().__init__(
            in_channels=stem.out_channels,
            embed_dims=embed_dims,
            kernel_size=in_cells(kernel_size, stem.stride),
            stride=in_cells(kernel_size if stride is None else stride, stem.stride),
            input_size=input_size,
            **kwargs,
        )
        self.stem = stem

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Map images (B, C, H, W) to tokens (B, N, D) and the rows and columns of their grid."""
        return super().forward(self.stem(x))


def in_cells(pixels: int | tuple[int, int], stride: int) -> tuple[int, int]:
    """Convert the height and width of a patch from pixels to cells of a feature map.

    Args:
        pixels: Height and width in pixels.
        stride: Pixels from cell to cell.

    Raises:
        ValueError: If they are no multiples of the stride.

    >>> in_cells(16, stride=4)
    (4, 4)
    """
    sides = to_2tuple(pixels)
    if any(side < stride or side % stride for side in sides):
        raise ValueError(
            f'a patch of {sides[0]} x {sides[1]} pixels is no whole number of cells of the stem, '
            f'whose stride is {stride}: set patch_size to {stride} or a multiple of it, or give '
            f'the stem fewer stages'
        )
    return sides[0] // stride, sides[1] // stride
