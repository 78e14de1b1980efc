"""The tokens of a compact convolutional transformer."""

from itertools import pairwise

import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from mmengine.utils import to_2tuple
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._number_checks import check_sizes


@MODELS.register_module()
class ConvTokenizer(BaseModule):
    """The tokenizer of `CCT <https://arxiv.org/abs/2104.05704>`_, MaxPool(ReLU(Conv2d(x))).

    Each layer is a 3 x 3 convolution without bias, ReLU and a 3 x 3 max pooling of stride 2; the
    cells of the last layer are the tokens. Set ``patch_cfg=dict(type='ConvTokenizer')`` in
    ``PosEmbedViT``, ``ConViT`` or ``DeiT3ViT``; ``patch_size=2`` is CCT-x/3x1, 4 is CCT-x/3x2.
    Each side is rounded up to whole tokens.

    Args:
        in_channels: Channels of the image.
        embed_dims: Width of the tokens.
        kernel_size: Pixels from token to token: 2 for one layer, 4 for two, 8 for three.
        stride: None, or the same number.
        input_size: Usual size of the image, an int or (H, W).
        hidden_channels: Channels between the layers.
        init_cfg: Initialisation config; None is He's normal, as in the authors' code.

    Raises:
        ValueError: If ``kernel_size`` is no power of 2 above 1, or ``stride`` is another number.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 256,
        kernel_size: int | tuple[int, int] = 2,
        stride: int | tuple[int, int] | None = None,
        input_size: int | tuple[int, int] | None = None,
        hidden_channels: int = 64,
        init_cfg: dict | list[dict] | None = None,
    ):
        if init_cfg is None:
            init_cfg = dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu')
        super().__init__(init_cfg)
        check_sizes(
            in_channels=in_channels,
            embed_dims=embed_dims,
            input_size=input_size,
            hidden_channels=hidden_channels,
        )
        sides = to_2tuple(kernel_size)
        side = sides[0]
        if sides != (side, side) or side < 2 or side & (side - 1):
            raise ValueError(
                f'patch_size {kernel_size} of a ConvTokenizer must be 2, 4, 8, ...: each of its '
                f'layers halves the image'
            )
        if stride is not None and to_2tuple(stride) != sides:
            raise ValueError(
                f'stride ({stride}) of a ConvTokenizer must be its kernel_size ({kernel_size}): '
                f'neighbouring tokens overlap by the convolutions'
            )
        num_layers = side.bit_length() - 1
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), embed_dims]
        self.convs = ModuleList(
            nn.Conv2d(before, width, 3, padding=1, bias=False)
            for before, width in pairwise(widths)
        )
        self.init_out_size = None
        if input_size is not None:
            self.init_out_size = tuple(-(-size // side) for size in to_2tuple(input_size))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Map images (B, C, H, W) to tokens (B, N, D) and the rows and columns of their grid."""
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), kernel_size=3, stride=2, padding=1)
        return x.flatten(2).transpose(1, 2), tuple(x.shape[2:])  # (B, D, H, W) -> (B, N, D)
