import math

import pytest
import torch
from mmpretrain.registry import MODELS

RAW = torch.randn(2, 1 + 6, 4)  # an extra token, a grid of 2 x 3


def build(**settings):
    neck = MODELS.build(dict(type='SequencePooling', in_channels=4, **settings))
    neck.score.weight.data.normal_()
    neck.score.bias.data.normal_()
    return neck


def slow(tokens, neck):
    """Compute SeqPool of CCT, number by number."""
    out = torch.zeros(len(tokens), 4)
    for n, image in enumerate(tokens):
        scores = [sum(a * b for a, b in zip(t, neck.score.weight[0], strict=True)) for t in image]
        powers = [math.exp(score + neck.score.bias) for score in scores]
        for power, token in zip(powers, image, strict=True):
            out[n] += power / sum(powers) * token
    return out


@pytest.mark.parametrize('extra', [0, 1])
def test_equals_the_slow_reference(extra):
    neck = build(num_extra_tokens=extra)
    with torch.no_grad():
        (out,) = neck((None, RAW))  # earlier outputs do not matter
        torch.testing.assert_close(out, slow(RAW[:, extra:], neck))


def test_map_and_tokens_agree():
    neck = build(num_extra_tokens=1)
    grid = RAW[:, 1:].transpose(1, 2).unflatten(2, (2, 3))
    torch.testing.assert_close(neck(grid)[0], neck(RAW)[0])


def test_starts_as_about_the_mean_and_learns():
    neck = MODELS.build(dict(type='SequencePooling', in_channels=4))
    neck.init_weights()
    (out,) = neck(RAW)
    torch.testing.assert_close(out, RAW.mean(1), atol=0.15, rtol=0)
    out.square().sum().backward()
    assert neck.score.weight.grad.any()


def test_weights_are_float32_under_autocast():
    neck = build()
    tokens = torch.randn(2, 999, 4)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = neck(torch.ones_like(tokens))
    torch.testing.assert_close(out, torch.ones(2, 4), atol=1e-5, rtol=0)  # weights sum to 1


@pytest.mark.parametrize(
    ('last', 'message'),
    [
        (RAW[:, 0], r"returns features \(2, 4\), where none are left: set its out_type to 'raw'"),
        ((RAW[:, 0], RAW[:, 0]), 'returns a tuple, where none are left: set its out_type'),
    ],
)
def test_refuses_what_has_no_tokens(last, message):
    with pytest.raises(ValueError, match=message):
        build()((None, last))


def test_an_empty_init_cfg_is_no_missing_one():
    assert build(init_cfg=[]).init_cfg == []
