"""Pruned GPSA: exact where gates are closed, within its bound elsewhere."""

import pytest
import torch

from vit_plugins.models.layers.gpsa import GPSA
from vit_plugins.models.layers.pruned_gpsa import PrunedGPSA

X, GRID = torch.randn(2, 12, 36).double(), (3, 4)


def layer(gates, qkv_bias=False, **settings):
    """Build a layer whose weights all affect the output."""
    gpsa = GPSA(36, 9, qkv_bias=qkv_bias, **settings).double().eval()
    for parameter in gpsa.parameters():
        parameter.data.normal_(std=0.4)
    gpsa.gating_param.data = torch.logit(torch.tensor(gates).double()).clamp(-100, 100)
    return gpsa


def counts(pruned):
    return pruned.num_content, pruned.num_both, pruned.num_position


@pytest.mark.parametrize('qkv_bias', [False, True])
@pytest.mark.parametrize(
    ('gates', 'kinds'),
    [
        ([1.0, 0, 0.3, 1, 0, 0.5, 0.9, 0, 1], (3, 3, 3)),
        ([1.0] * 9, (0, 0, 9)),
        ([0.0] * 9, (9, 0, 0)),
        ([0.5] * 9, (0, 9, 0)),
        ([0.0, 1] * 4 + [0.0], (5, 0, 4)),
        ([0.0, 0.5] * 4 + [0.0], (5, 4, 0)),
        ([1.0, 0.5] * 4 + [1.0], (0, 4, 5)),
    ],
)
def test_saturated_gates_are_pruned_exactly(gates, kinds, qkv_bias):
    gpsa = layer(gates, qkv_bias)
    pruned = PrunedGPSA(gpsa, 0.01)
    assert counts(pruned) == kinds
    torch.testing.assert_close(pruned(X, GRID), gpsa(X, GRID), atol=1e-12, rtol=0)


def test_what_is_skipped_is_not_computed():
    pruned = PrunedGPSA(layer([1.0, 0.0, 0.5] * 3), 0.01)
    assert pruned.qk.weight.shape == (2 * 6 * 4, 36)  # six heads of width 4 ask
    assert pruned.pos_weight.shape == (6, 3)  # six look by position
    assert PrunedGPSA(layer([1.0] * 9), 0).qk is None
    assert repr(pruned).startswith('PrunedGPSA(\n  content=3, both=3, position=3')
    assert not any(parameter.requires_grad for parameter in pruned.parameters())


@pytest.mark.parametrize('threshold', [0.02, 0.1, 0.3])
def test_open_gates_change_the_output_within_the_bound(threshold):
    gates = torch.linspace(0.001, 0.999, 9).tolist()
    gpsa = layer(gates)
    gpsa.proj.weight.data = torch.eye(36).double()
    gpsa.proj.bias.data.zero_()
    pruned = PrunedGPSA(gpsa, threshold)
    assert counts(pruned) == (sum(g <= threshold for g in gates),
                              sum(threshold < g < 1 - threshold for g in gates),
                              sum(g >= 1 - threshold for g in gates))  # fmt: skip
    # The projection sees heads in the order of the pruned layer; eye keeps that of the layer.
    difference = (pruned(X, GRID) - gpsa(X, GRID)).abs().unflatten(2, (9, 4))
    largest = gpsa.v(X).unflatten(2, (9, 4)).abs().amax((1, 3))  # (B, h)
    assert (difference.amax((1, 3)) <= 2 * threshold * largest + 1e-12).all()
    assert difference.max() > 0


def test_what_cannot_be_pruned_is_told():
    with pytest.raises(ValueError, match=r'threshold must be at least 0 and below 0\.5, got 0\.5'):
        PrunedGPSA(layer([0.5] * 9), 0.5)
    with pytest.raises(ValueError, match=r"mode='psa' mixes content and position without a gate"):
        PrunedGPSA(layer([0.5] * 9, mode='psa'), 0.1)
