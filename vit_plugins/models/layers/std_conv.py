"""Convolution with standardised weights and TensorFlow's padding, as in the ResNets of BiT."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .free_size import pad_same


def standardize(weight: Tensor, eps: float = 1e-8) -> Tensor:
    """Standardize each filter to mean 0 and variance 1 (`Qiao et al. <https://arxiv.org/abs/1903.10520>`_).

    Args:
        weight: Filters, shape (O, I, H, W); statistics are in float32 or better.
        eps: Added to the variance, as in timm. Google's code instead adds 1e-5 to the deviation.
    """
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    var, mean = torch.var_mean(wide, dim=(1, 2, 3), correction=0, keepdim=True)
    return ((wide - mean) * torch.rsqrt(var + eps)).to(weight.dtype)


class StdConv2d(nn.Conv2d):
    """A convolution without bias that standardises its weights each time.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Height and width of the filters.
        stride: Step; the output has ceil(size / stride) values.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, I, H, W) to (B, O, ceil(H / stride), ceil(W / stride))."""
        x = pad_same(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(x, standardize(self.weight), stride=self.stride)
