import math

import pytest
import torch

from vit_plugins.models.layers.token_performer import (
    TokenPerformer,
    performer_attention,
    positive_features,
)


def test_features_estimate_the_exponential_kernel():
    x, y = 0.3 * torch.randn(2, 5, 8, dtype=torch.double)
    weight = torch.randn(200_000, 8, dtype=torch.double)
    estimate = positive_features(x, weight) @ positive_features(y, weight).t()
    torch.testing.assert_close(estimate, torch.exp(x @ y.t()), rtol=0.03, atol=0)


def test_attention_estimates_softmax_attention():
    q, k, v = 0.3 * torch.randn(3, 2, 6, 8, dtype=torch.double)
    weight = torch.randn(200_000, 8, dtype=torch.double)
    expected = (q @ k.transpose(1, 2)).softmax(-1) @ v
    out = performer_attention(q, k, v, weight)
    torch.testing.assert_close(out, expected, rtol=0.03, atol=0.003)


@torch.no_grad()
def test_layer_equals_loops_over_the_formula():
    layer, x = TokenPerformer(6, 4, kernel_ratio=0.5).eval(), torch.randn(2, 5, 6)
    w = layer.directions  # (2, 4)
    rows = []
    for image in layer.ln1(x):
        k, q, v = layer.kqv(image).split(4, dim=-1)

        def phi(row):
            return [math.exp(d @ row - row @ row / 2) / math.sqrt(2) for d in w]

        for i in range(5):
            share = [
                sum(a * b for a, b in zip(phi(q[i]), phi(k[j]), strict=True)) for j in range(5)
            ]
            mixed = sum(s * v[j] for j, s in enumerate(share)) / (sum(share) + 1e-8)
            rows.append(v[i] + layer.proj(mixed))
    expected = torch.stack(rows).view(2, 5, 4)
    expected = expected + layer.mlp(layer.ln2(expected))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_directions_are_orthogonal_and_no_parameter():
    layer = TokenPerformer(6, 8)
    gram = layer.directions @ layer.directions.t()
    torch.testing.assert_close(gram, 4 * torch.eye(4), atol=1e-5, rtol=0)
    assert 'directions' in layer.state_dict()
    assert 'directions' not in dict(layer.named_parameters())


def test_autocast_keeps_the_exponential_in_float32():
    layer, x = TokenPerformer(6, 8).eval(), torch.randn(2, 5, 6)
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(x)
    assert (out.float() - layer(x)).abs().mean() < 0.03 * layer(x).std()


def test_refuses_no_direction():
    with pytest.raises(ValueError, match=r'kernel_ratio \(0\.1\) of 8 channels leaves no dir'):
        TokenPerformer(6, 8, kernel_ratio=0.1)
