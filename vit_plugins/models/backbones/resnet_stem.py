"""The ResNet under a hybrid ViT: GroupNorm and standardised convolutions (BiT), no batch norm."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList, Sequential
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .._number_checks import check_sizes
from ..layers.free_size import pad_same
from ..layers.std_conv import StdConv2d

GROUPS = 32  # groups of every GroupNorm
EXPANSION = 4  # output channels per channel inside a bottleneck


def conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Module:
    """Build a standardised convolution and its norm.

    Args:
        in_channels: Input channels.
        out_channels: Output channels, a multiple of 32.
        kernel_size: Height and width of the filters.
        stride: Step of the convolution.
    """
    return nn.Sequential(
        OrderedDict(
            conv=StdConv2d(in_channels, out_channels, kernel_size, stride),
            norm=nn.GroupNorm(GROUPS, out_channels),
        )
    )


class Bottleneck(BaseModule):
    """Three convolutions with a shortcut around them; the activation comes after the sum.

    Args:
        in_channels: Input channels.
        channels: Channels inside; the output has four times as many.
        stride: The stride of the 3 x 3 convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        out_channels = EXPANSION * channels
        self.unit1 = conv_norm(in_channels, channels, 1)
        self.unit2 = conv_norm(channels, channels, 3, stride)
        self.unit3 = conv_norm(channels, out_channels, 1)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = conv_norm(in_channels, out_channels, 1, stride)

    def init_weights(self) -> None:
        """Start as the shortcut alone, as Google's code does."""
        super().init_weights()
        nn.init.zeros_(self.unit3.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4 * channels, ceil(H / stride), ceil(W / stride))."""
        y = F.relu(self.unit1(x))
        y = F.relu(self.unit2(y))
        return F.relu(self.unit3(y) + self.shortcut(x))


@MODELS.register_module()
class ResNetStem(BaseModule):
    """A ResNet without head, whose padding makes ceil(size / stride) of any size.

    Args:
        blocks: Bottlenecks in each stage. The first stage works at stride 4, each further one
            at twice the stride of the one before.
        channels: Channels of the root, a multiple of 32. A bottleneck of the first stage has the
            same number inside; each further stage has twice as many as the stage before.
        in_channels: Channels of the image.
        with_cp: Save memory by recomputing each stage in the backward pass.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        channels: int = 64,
        in_channels: int = 3,
        with_cp: bool = False,
    ):
        super().__init__()
        check_sizes(in_channels=in_channels)
        if channels % GROUPS or channels <= 0:
            raise ValueError(
                f'stem_channels ({channels}) must be a multiple of {GROUPS}, the number of groups '
                f'that are normalised.'
            )
        self.with_cp = with_cp
        self.root = conv_norm(in_channels, channels, 7, 2)
        self.stages = ModuleList()  # the host's class passes init_weights() on to its children
        width = channels
        for i, depth in enumerate(blocks):
            inside = channels * 2**i
            stage = Sequential()
            for j in range(depth):
                stage.append(Bottleneck(width, inside, 2 if i and not j else 1))
                width = EXPANSION * inside
            self.stages.append(stage)
        self.out_channels = width
        self.stride = 2 ** (len(self.stages) + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, H, W) to features (B, D, ceil(H / stride), ceil(W / stride))."""
        x = F.relu(self.root(x))
        x = F.max_pool2d(pad_same(x, 3, 2), 3, 2)  # zeros change no maximum after a ReLU
        for stage in self.stages:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(stage, x, use_reentrant=False)
            else:
                x = stage(x)
        return x
