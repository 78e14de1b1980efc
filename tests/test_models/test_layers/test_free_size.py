"""Paddings and positions with a free size in an exported program equal those of fixed size."""

import pytest
import torch
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmpretrain.models.utils import resize_pos_embed
from torch import nn

from vit_plugins.models.layers.free_size import (
    FreeSizePadding,
    pad_same,
    pad_to_patches,
    resize_positions,
)

needs_export = pytest.mark.skipif(
    not hasattr(torch.export, 'Dim') or not hasattr(torch.export.Dim, 'DYNAMIC'),
    reason='old torch cannot export with free sizes',
)
SIZES = [(16, 16), (17, 24), (30, 13), (9, 33)]


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def exported(function):
    """Return the function as a program of free height and width."""
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    images = torch.zeros(2, 3, 43, 54)
    return torch.export.export(
        Call(function), (images,), dynamic_shapes=(free,), strict=False
    ).module()


@pytest.mark.parametrize(('kernel', 'stride'), [(1, 2), (2, 2), (3, 2), (7, 2), (3, 1), (4, 4)])
@pytest.mark.parametrize('size', SIZES)
def test_same_padding_makes_as_many_windows_as_the_stride_says(kernel, stride, size):
    padded = pad_same(torch.ones(1, 1, *size), kernel, stride)
    windows = nn.functional.avg_pool2d(padded, kernel, stride)
    assert tuple(windows.shape[2:]) == tuple(-(-side // stride) for side in size)


@needs_export
@pytest.mark.parametrize(('kernel', 'stride'), [(7, 2), (3, 2)])
def test_same_padding_is_the_same_where_the_size_is_free(kernel, stride):
    free = exported(lambda x: pad_same(x, kernel, stride))
    for size in SIZES:
        images = torch.randn(2, 3, *size)
        assert torch.equal(free(images), pad_same(images, kernel, stride))


@pytest.mark.parametrize(('kernel', 'stride'), [(4, 4), (5, 3)])
@pytest.mark.parametrize('size', SIZES)
def test_a_convolution_sees_the_same_patches_behind_either_padding(kernel, stride, size):
    conv, images = nn.Conv2d(3, 2, kernel, stride), torch.randn(2, 3, *size)
    expected = conv(AdaptivePadding(kernel, stride)(images))
    torch.testing.assert_close(conv(FreeSizePadding(kernel, stride)(images)), expected)
    torch.testing.assert_close(conv(pad_to_patches(FreeSizePadding(kernel), images)), expected)


def test_padding_around_the_image_is_refused():
    with pytest.raises(ValueError, match="only 'corner' leaves it free"):
        pad_to_patches(AdaptivePadding(4, 4, padding='same'), torch.zeros(1, 3, 9, 9))


@needs_export
@pytest.mark.parametrize('extra', [0, 1])
@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
def test_positions_are_resized_to_a_free_grid_as_the_host_resizes(extra, mode):
    embed = torch.randn(1, extra + 12, 8)
    free = exported(lambda x: resize_positions(embed, (3, 4), tuple(x.shape[2:]), mode, extra))
    for size in [(3, 4), (5, 9), (8, 2)]:
        expected = resize_pos_embed(embed, (3, 4), size, mode, extra)
        found = free(torch.zeros(2, 3, *size))
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)
