import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vit_plugins.models.layers.conv_tokenizer import ConvTokenizer


def slow_layer(x: Tensor, weight: Tensor) -> Tensor:
    """Compute MaxPool(ReLU(Conv2d(x))) of the paper, window by window."""
    padded = F.pad(x, (1, 1, 1, 1))
    _, h, w = x.shape
    conv = torch.stack(
        [
            (weight * padded[:, i : i + 3, j : j + 3]).sum((1, 2, 3)).clamp(min=0)
            for i in range(h)
            for j in range(w)
        ],
        dim=1,
    ).unflatten(1, (h, w))
    rows, cols = (h + 1) // 2, (w + 1) // 2
    out = torch.zeros(len(weight), rows, cols, dtype=x.dtype)
    for i in range(rows):
        for j in range(cols):
            window = conv[:, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
            out[:, i, j] = window.amax((1, 2))
    return out


@pytest.mark.parametrize(('side', 'layers'), [(2, 1), (4, 2)])
@pytest.mark.parametrize('size', [(8, 8), (5, 9)])
def test_equals_the_slow_reference(side, layers, size):
    embed = ConvTokenizer(3, 6, kernel_size=side, input_size=size, hidden_channels=4).double()
    assert len(embed.convs) == layers
    x = image = torch.randn(3, *size, dtype=torch.double)
    for conv in embed.convs:
        x = slow_layer(x, conv.weight)
    tokens, grid = embed(image[None])
    assert grid == embed.init_out_size == tuple(x.shape[1:])
    torch.testing.assert_close(tokens[0], x.flatten(1).T)


@pytest.mark.parametrize(
    ('side', 'count'),
    # 3 x 3 weights alone: of CCT-x/3x1 and CCT-x/3x2 at width 256
    [(2, 9 * 3 * 256), (4, 9 * (3 * 64 + 64 * 256))],
)
def test_number_of_parameters(side, count):
    embed = ConvTokenizer(kernel_size=side)
    assert sum(param.numel() for param in embed.parameters()) == count
    assert embed.init_out_size is None


def test_start_is_hes():
    embed = ConvTokenizer(kernel_size=4, hidden_channels=64)
    embed.init_weights()
    for conv in embed.convs:
        std = (2 / (9 * conv.in_channels)) ** 0.5
        assert conv.weight.std().item() == pytest.approx(std, rel=0.1)
    other = ConvTokenizer(init_cfg=dict(type='Constant', layer='Conv2d', val=0.5))
    other.init_weights()
    assert other.convs[0].weight.eq(0.5).all()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(kernel_size=1), 'patch_size 1 of a ConvTokenizer must be 2, 4, 8'),
        (dict(kernel_size=6), 'patch_size 6 of'),
        (dict(kernel_size=(4, 2)), r'patch_size \(4, 2\) of'),
        (
            dict(kernel_size=4, stride=2),
            r'stride \(2\) of a ConvTokenizer must be its kernel_size',
        ),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        ConvTokenizer(**settings)


def test_an_empty_init_cfg_is_no_missing_one():
    assert ConvTokenizer(init_cfg=[]).init_cfg == []
