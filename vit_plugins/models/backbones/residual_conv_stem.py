"""A small residual network with batch norm that makes the tokens of small images."""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import build_activation_layer
from mmengine.model import BaseModule, Sequential
from mmpretrain.models.utils import build_norm_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._number_checks import check_sizes


def conv_norm_act(
    in_channels: int, out_channels: int, norm_cfg: dict, act_cfg: dict | None
) -> nn.Sequential:
    """Build a 3 x 3 convolution, its norm and, unless ``act_cfg`` is None, an activation.

    It is not mmcv's ConvModule, because that applies its own initialisation after any
    ``init_cfg``.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        norm_cfg: Normalisation.
        act_cfg: Activation.
    """
    layers = OrderedDict(
        conv=nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        norm=build_norm_layer(norm_cfg, out_channels),
    )
    if act_cfg is not None:
        layers['act'] = build_activation_layer(act_cfg)
    return nn.Sequential(layers)


class ResidualBlock(BaseModule):
    """Two 3 x 3 convolutions with a shortcut around them; the activation comes after the sum.

    `He et al. <https://arxiv.org/abs/1512.03385>`_, figure 2. ``init_weights()`` starts the
    block as its shortcut alone (`Goyal et al. <https://arxiv.org/abs/1706.02677>`_, 5.1).

    Args:
        channels: Input and output channels.
        norm_cfg: Normalisation after each convolution.
        act_cfg: Activation.
    """

    def __init__(self, channels: int, norm_cfg: dict, act_cfg: dict):
        super().__init__()
        self.unit1 = conv_norm_act(channels, channels, norm_cfg, act_cfg)
        self.unit2 = conv_norm_act(channels, channels, norm_cfg, None)
        self.act = build_activation_layer(act_cfg)

    def init_weights(self) -> None:
        """Start as the shortcut: the last norm multiplies by 0."""
        super().init_weights()
        nn.init.zeros_(self.unit2.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return self.act(x + self.unit2(self.unit1(x)))


@MODELS.register_module()
class ResidualConvStem(BaseModule):
    """Convolutions before the tokens, after `Xiao et al. <https://arxiv.org/abs/2106.14881>`_.

    A 3 x 3 convolution works on the image at full size. Then each stage has a convolution that
    widens, residual blocks and a 2 x 2 max pooling. Each convolution has batch norm and GELU. The
    default makes 8 x 8 cells of 32 x 32 pixels; a side that the pooling does not divide is rounded
    up.

    Args:
        in_channels: Channels of the image.
        channels: Channels of the first convolution, then of each stage; n stages have stride
            2 ** n.
        num_blocks: Residual blocks of each stage, one number for all or one for each.
        norm_cfg: Normalisation after each convolution; None is BatchNorm.
        act_cfg: Activation; None is GELU.
        init_cfg: Initialisation config; None is He's normal for the convolutions.

    Raises:
        ValueError: If there is no stage, or ``num_blocks`` has another length.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (48, 96, 192),
        num_blocks: int | Sequence[int] = 1,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(
            init_cfg
            or [
                dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu'),
                dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1.0),
            ]
        )
        check_sizes(in_channels=in_channels)
        num_stages = len(channels) - 1
        if num_stages < 1 or min(channels) < 1:
            raise ValueError(
                f'channels {tuple(channels)} must have two or more positive numbers: those of '
                f'the first convolution and of each stage.'
            )
        counts = [num_blocks] * num_stages if isinstance(num_blocks, int) else list(num_blocks)
        if len(counts) != num_stages or min(counts) < 0:
            raise ValueError(
                f'num_blocks ({num_blocks}) must be a number, or one for each of the '
                f'{num_stages} stages of channels {tuple(channels)}; none is negative.'
            )
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='GELU')
        self.root = conv_norm_act(in_channels, channels[0], norm_cfg, act_cfg)
        self.stages = Sequential()
        for before, width, count in zip(channels, channels[1:], counts, strict=False):
            blocks = [ResidualBlock(width, norm_cfg, act_cfg) for _ in range(count)]
            widening = conv_norm_act(before, width, norm_cfg, act_cfg)
            self.stages.append(Sequential(widening, *blocks))
        self.out_channels = channels[-1]
        self.stride = 2**num_stages

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, H, W) to features (B, D, ceil(H / stride), ceil(W / stride))."""
        x = self.root(x)
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2, ceil_mode=True)
        return x
