import pytest
import torch
import torch.nn.functional as F
from mmengine.model import revert_sync_batchnorm
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from vit_plugins.models.backbones.residual_conv_stem import ResidualConvStem

SMALL = dict(channels=(4, 6, 8))


def small(**kwargs) -> ResidualConvStem:
    """Build a stem where the loss of any weight or statistic is visible."""
    stem = ResidualConvStem(**{**SMALL, **kwargs})
    for name, value in stem.state_dict().items():
        if value.is_floating_point():
            value.normal_(std=0.3)
            if name.endswith('running_var'):
                value.abs_().add_(0.5)
    return stem


# --- a slow reference: loops over pixels, from the papers' formulas ------------------------------


def slow_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Compute the sum over the 3 x 3 neighbourhood of each pixel, with 0 outside the map."""
    _, h, w = x.shape
    out = torch.zeros(len(weight), h, w, dtype=x.dtype)
    for row in range(h):
        for col in range(w):
            for i in range(3):
                for j in range(3):
                    y, z = row + i - 1, col + j - 1
                    if 0 <= y < h and 0 <= z < w:
                        out[:, row, col] += weight[:, :, i, j] @ x[:, y, z]
    return out


def slow_unit(x: Tensor, weights: dict, name: str, activate: bool = True) -> Tensor:
    """Compute the convolution, normalise by the running statistics, and apply x * Phi(x)."""
    norm = {
        key: weights[f'{name}.norm.{key}'][:, None, None]
        for key in ('weight', 'bias', 'running_mean', 'running_var')
    }
    x = slow_conv(x, weights[f'{name}.conv.weight'])
    x = (x - norm['running_mean']) / (norm['running_var'] + 1e-5).sqrt()
    x = x * norm['weight'] + norm['bias']
    return slow_gelu(x) if activate else x


def slow_gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def slow_pool(x: Tensor) -> Tensor:
    """Compute the maximum of 2 x 2 pixels, of the existing ones at the lower and right border."""
    rows = [range(i, min(i + 2, x.shape[1])) for i in range(0, x.shape[1], 2)]
    cols = [range(j, min(j + 2, x.shape[2])) for j in range(0, x.shape[2], 2)]
    cells = [[torch.stack([x[:, i, j] for i in r for j in c]).amax(0) for c in cols] for r in rows]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def slow_stem(image: Tensor, weights: dict, counts: tuple[int, ...]) -> Tensor:
    x = slow_unit(image, weights, 'root')
    for stage, count in enumerate(counts):
        x = slow_unit(x, weights, f'stages.{stage}.0')
        for block in range(1, 1 + count):
            name = f'stages.{stage}.{block}'
            y = slow_unit(x, weights, f'{name}.unit1')
            x = slow_gelu(x + slow_unit(y, weights, f'{name}.unit2', activate=False))
        x = slow_pool(x)
    return x


@pytest.mark.parametrize('size', [(8, 8), (7, 9)])
@pytest.mark.parametrize('counts', [(1, 1), (0, 2)])
def test_equals_the_slow_reference(size, counts):
    stem = small(num_blocks=counts).double().eval()
    image = torch.randn(3, *size, dtype=torch.double)
    expected = slow_stem(image, stem.state_dict(), counts)
    torch.testing.assert_close(stem(image[None])[0], expected)
    assert expected.shape == (8, -(-size[0] // 4), -(-size[1] // 4))


# --- shape and cost ------------------------------------------------------------------------------


def test_size_of_the_default():
    """Counted by hand: 3 x 3 weights of the convolutions, two numbers of each norm's channel."""
    stem = ResidualConvStem()
    convs = [(3, 48), (48, 96), (96, 96), (96, 96), (96, 192), (192, 192), (192, 192)]
    expected = sum(9 * a * b + 2 * b for a, b in convs)
    assert sum(param.numel() for param in stem.parameters()) == expected == 1_039_920
    assert stem(torch.randn(1, 3, 32, 32)).shape == (1, 192, 8, 8)
    assert (stem.stride, stem.out_channels) == (4, 192)


@pytest.mark.parametrize('size', [(1, 1), (5, 1), (9, 16), (31, 33)])
@pytest.mark.parametrize(('channels', 'stride'), [((4, 4), 2), ((4, 4, 6), 4), ((4, 4, 4, 6), 8)])
def test_sides_are_rounded_up(size, channels, stride):
    stem = small(channels=channels).eval()
    assert stem.stride == stride
    rows, cols = (-(-side // stride) for side in size)
    assert stem(torch.randn(2, 3, *size)).shape == (2, channels[-1], rows, cols)


@pytest.mark.parametrize(
    'change',
    [
        dict(channels=(4, 6, 10)),
        dict(num_blocks=2),
        dict(num_blocks=(1, 0)),
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        dict(act_cfg=dict(type='ReLU')),
        dict(init_cfg=dict(type='Constant', layer='BatchNorm2d', val=0.5)),
    ],
    ids=lambda change: '-'.join(change),
)
def test_each_argument_changes_the_output(change):
    outs = []
    for kwargs in ({}, change):
        torch.manual_seed(0)
        stem = ResidualConvStem(**{**SMALL, **kwargs})
        stem.init_weights()
        outs.append(stem(torch.ones(2, 3, 8, 8).cumsum(3)))
    assert outs[0].shape != outs[1].shape or not torch.allclose(*outs)


def test_channels_of_the_image():
    assert small(in_channels=1)(torch.randn(2, 1, 8, 8)).shape == (2, 8, 2, 2)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(channels=(8,)), r'channels \(8,\) must have two or more positive numbers'),
        (dict(channels=(8, 0)), r'channels \(8, 0\) must have two or more positive numbers'),
        (dict(num_blocks=(1,)), r'num_blocks \(\(1,\)\) must be a number, or one .* 2 stages'),
        (dict(num_blocks=-1), r'num_blocks \(-1\) must be a number'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


# --- training ------------------------------------------------------------------------------------


def test_each_block_starts_as_its_shortcut():
    stem = MODELS.build(dict(type='ResidualConvStem', **SMALL))
    stem.init_weights()
    x = torch.randn(2, 3, 8, 8)
    for stage in stem.stages:
        block = stage[1]
        y = torch.randn(2, block.unit1.conv.in_channels, 8, 8)
        torch.testing.assert_close(block(y), F.gelu(y))
        std = block.unit1.conv.weight.std().item()
        assert std * (9 * y.shape[1] / 2) ** 0.5 == pytest.approx(1, rel=0.2)  # He
    stem(x).square().sum().backward()
    grads = {name: param.grad for name, param in stem.named_parameters()}
    assert all(grads[f'stages.{i}.1.unit2.norm.weight'].any() for i in (0, 1))  # it can leave it


def test_a_gradient_for_each_parameter():
    stem = small().train()
    stem(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert [name for name, param in stem.named_parameters() if not param.grad.any()] == []


def test_synchronised_norms_are_a_setting():
    stem = small(norm_cfg=dict(type='SyncBN'))
    assert any(isinstance(module, nn.SyncBatchNorm) for module in stem.modules())
    assert revert_sync_batchnorm(stem)(torch.randn(2, 3, 8, 8)).shape == (2, 8, 2, 2)
