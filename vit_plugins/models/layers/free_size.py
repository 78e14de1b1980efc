"""Keep sizes free in an exported program, without a branch on an image's height or width."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmpretrain.models.utils import resize_pos_embed
from torch import SymInt, Tensor, nn
from torch.nn import functional as F


def is_free(*sizes: int | SymInt) -> bool:
    """Return whether one of the sizes is a symbol, as during the export of a program.

    Args:
        *sizes: Heights, widths, rows or columns.
    """
    return any(isinstance(size, SymInt) for size in sizes)


def resize_positions(
    pos_embed: Tensor,
    source: tuple[int, int],
    grid: tuple[int, int],
    mode: str = 'bicubic',
    num_extra_tokens: int = 1,
) -> Tensor:
    """Return a position embedding (1, L, D) for another grid.

    This replaces the host's ``resize_pos_embed``, which checks whether the grids are equal and so
    fixes the size of an exported program. If the grid is free, the embedding is always resized; an
    equal grid changes nothing, because each sample point is then a grid point.

    Args:
        pos_embed: The embedding, extra tokens first.
        source: Its grid (H, W).
        grid: The new grid.
        mode: ``'bicubic'`` or ``'bilinear'``.
        num_extra_tokens: Positions that belong to no patch.
    """
    if not is_free(*grid):
        return resize_pos_embed(pos_embed, source, grid, mode, num_extra_tokens)
    extra, patches = pos_embed[:, :num_extra_tokens], pos_embed[:, num_extra_tokens:]
    patches = patches.transpose(1, 2).unflatten(2, tuple(source))  # (1, N, D) -> (1, D, H, W)
    resized = F.interpolate(patches.float(), size=tuple(grid), mode=mode, align_corners=False)
    resized = resized.flatten(2).transpose(1, 2).to(pos_embed.dtype)
    return torch.cat((extra, resized), dim=1) if num_extra_tokens else resized


class FreeSizePadding(AdaptivePadding):
    """A version of mmcv's padding to whole patches that also works if the size is free."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad images (B, C, H, W) until the patches cover them.

        Args:
            x: The images.
        """
        return pad_to_patches(self, x) if is_free(*x.shape[-2:]) else super().forward(x)


def pad_to_patches(padding: AdaptivePadding, x: Tensor) -> Tensor:
    """Pad images (B, C, H, W) at the right and bottom by an amount that suits any size.

    The padding is the most that any size could need. Number and content of the patches do not
    change, because a convolution ignores what no window covers.

    Args:
        padding: The settings of the patches.
        x: The images.

    Raises:
        ValueError: If the padding should be spread around the image.
    """
    if padding.padding != 'corner':
        raise ValueError(
            f"padding {padding.padding!r} of the patches depends on the image's size: only "
            "'corner' leaves it free"
        )
    sides = zip(padding.kernel_size, padding.dilation, strict=True)
    down, right = ((kernel - 1) * dilation for kernel, dilation in sides)
    return F.pad(x, (0, right, 0, down))


class WholePatchCheck(nn.Module):
    """Refuse images without one whole patch, in the place of a padding.

    Args:
        conv: The convolution that embeds the patches.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.sides = conv.kernel_size, conv.padding

    def forward(self, x: Tensor) -> Tensor:
        """Return images (B, C, H, W) unchanged.

        Args:
            x: The images.

        Raises:
            ValueError: If they are smaller than a patch.
        """
        check_whole_patch(x, *self.sides)
        return x


def check_whole_patch(
    x: Tensor, kernel_size: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> None:
    """Check that a map has room for a patch; free sizes are not checked.

    Args:
        x: The map, shape (B, C, H, W).
        kernel_size: Rows and columns of a patch.
        padding: Rows and columns that are added on each side.

    Raises:
        ValueError: If the map is smaller.
    """
    h, w = x.shape[-2:]
    down, right = (k - 2 * p for k, p in zip(kernel_size, padding, strict=True))
    if not is_free(h, w) and (h < down or w < right):
        raise ValueError(
            f'A map of {h} x {w} has no whole patch, which needs {down} x {right}: give larger '
            'images, or set a smaller patch_size in the backbone (patch_sizes in CvT).'
        )


def pad_same(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Pad with zeros for ceil(size / stride) windows; an odd zero goes to the end.

    Args:
        x: Shape (B, C, H, W).
        kernel_size: Height and width of the window: 1, or at least the stride.
        stride: Its step.
    """
    if kernel_size == 1:
        return x
    if is_free(*x.shape[-2:]):
        return _pad_free(_pad_free(x, -1, kernel_size, stride), -2, kernel_size, stride)
    down, right = (-(-n // stride) * stride + kernel_size - stride - n for n in x.shape[-2:])
    if not (down or right):
        return x
    return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


def _pad_free(x: Tensor, dim: int, kernel_size: int, stride: int) -> Tensor:
    """Pad one side by the most that any size needs, then cut to what this size needs."""
    size = x.shape[dim]
    # never divides a negative number, as ONNX rounds towards zero
    length = (size + stride - 1) // stride * stride + kernel_size - stride
    before = (length - size) // 2
    most, end = (kernel_size - 1) // 2, kernel_size - 1
    pads = (most, end, 0, 0) if dim == -1 else (0, 0, most, end)
    index = torch.arange(length, device=x.device) + (most - before)
    return F.pad(x, pads).index_select(dim, index)
