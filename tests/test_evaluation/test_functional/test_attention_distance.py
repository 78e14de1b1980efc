"""Non-locality and attention distance: loops from the paper, the values of the specification."""

import math

import pytest
import torch

from vit_plugins.evaluation.functional.attention_distance import (
    attention_distance,
    grid_distances,
    nonlocality,
    uniform_nonlocality,
    without_extra_tokens,
)
from vit_plugins.models.layers.gpsa import GPSA
from vit_plugins.models.layers.positional_attention import (
    local_pos_weight,
    outer,
    positional_factors,
)

GRID = (14, 14)


def slow_nonlocality(attention, rows, columns, key_columns, step, height, width):
    """Compute Eq. 8 patch by patch; in pixels if the patch has a height and a width."""
    heads = []
    for head in attention.mean(0):  # over the images
        total = 0.0
        for n, row in enumerate(head):
            for m, share in enumerate(row):
                dy = (m // key_columns * step - n // columns) * height
                dx = (m % key_columns * step - n % columns) * width
                total += share.item() * math.sqrt(dx**2 + dy**2)
        heads.append(total / (rows * columns))
    return heads


@pytest.mark.parametrize(
    ('grid', 'keys', 'step', 'patch'),
    [((3, 4), (3, 4), 1, (1, 1)), ((2, 5), (2, 5), 1, (8, 4)), ((5, 4), (3, 2), 2, (1, 1))],
)
def test_distances_are_those_of_loops(grid, keys, step, patch):
    rows, columns = math.prod(grid), math.prod(keys)
    attention = torch.rand(2, 3, rows, columns).softmax(-1)
    slow = slow_nonlocality(attention, *grid, keys[1], step, *patch)
    found = attention_distance(attention, grid, patch, keys, step)
    torch.testing.assert_close(found, torch.tensor(slow))
    if patch == (1, 1):
        assert torch.equal(nonlocality(attention, grid, keys, step), found)


def test_attention_to_all_alike_has_the_values_of_the_specification():
    assert uniform_nonlocality(GRID) == pytest.approx(7.280764, abs=5e-7)
    assert uniform_nonlocality((24, 24)) == pytest.approx(12.502999, abs=5e-7)
    attention = torch.full((1, 2, 196, 196), 1 / 196)
    assert nonlocality(attention, GRID).tolist() == pytest.approx([7.280764] * 2, abs=1e-5)
    half = torch.full((1, 2, 196, 196), 1.25, dtype=torch.bfloat16)  # distances are not rounded
    expected = [7.280764 * 1.25 * 196] * 2
    assert nonlocality(half, GRID).tolist() == pytest.approx(expected, rel=1e-5)


def positional(heads, strength=1.0):
    factors = positional_factors(local_pos_weight(heads, strength), GRID)
    return outer(*factors, product=True)  # (h, N, N)


# Section 3.1 of the specification: mean, lowest and highest head, whole layer at g = σ(1).
@pytest.mark.parametrize(
    ('heads', 'mean', 'low', 'high', 'layer'),
    [
        (4, 0.9860, 0.9860, 0.9860, 2.6789),
        (9, 1.2623, 0.7594, 1.4846, 2.8809),
        (16, 1.5616, 0.9860, 2.0594, 3.0997),
    ],
)
def test_initial_values_are_those_of_the_specification(heads, mean, low, high, layer):
    attention = positional(heads)
    found = nonlocality(attention, GRID)
    assert found.mean().item() == pytest.approx(mean, abs=5e-5)
    assert found.min().item() == pytest.approx(low, abs=5e-5)
    assert found.max().item() == pytest.approx(high, abs=5e-5)
    gate = torch.tensor(1.0).sigmoid()
    whole = gate * attention + (1 - gate) / 196
    assert nonlocality(whole, GRID).mean().item() == pytest.approx(layer, abs=5e-5)


@pytest.mark.parametrize(
    ('strength', 'mean'), [(0.01, 5.9014), (0.1, 2.6617), (0.5, 1.4913), (2, 1.1221), (10, 1.0137)]
)
def test_locality_strengths_have_the_values_of_the_specification(strength, mean):
    assert nonlocality(positional(9, strength), GRID).mean().item() == pytest.approx(
        mean, abs=5e-5
    )


def test_golden_layer_has_the_distances_of_the_official_code():
    """Section 9.4 of the specification: facebookresearch/convit @0a9340a, which timm equals."""
    layer = GPSA(8, 4).double().eval()
    i, j = torch.arange(16.0).double()[:, None], torch.arange(8.0).double()
    with torch.no_grad():
        layer.qk.weight.copy_(0.5 * torch.cos(0.3 * i + 0.7 * j))
        layer.gating_param.copy_(torch.tensor([-1.0, 0, 1, 2]))
        x = torch.sin(0.1 * torch.arange(1, 145).double()).view(2, 9, 8)
        found = nonlocality(layer.get_attention_map(x, (3, 3)), (3, 3))
    assert found.tolist() == pytest.approx([1.275705, 1.103442, 0.937437, 0.828273], abs=5e-7)


def test_without_extra_tokens_rows_sum_to_one():
    attention = torch.rand(2, 3, 6, 6).softmax(-1)
    found = without_extra_tokens(attention, 2)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, 4))
    torch.testing.assert_close(found[0, 0, 0, 1] / found[0, 0, 0, 0],
                               attention[0, 0, 2, 3] / attention[0, 0, 2, 2])  # fmt: skip
    assert without_extra_tokens(attention, 0) is attention


def test_attention_of_another_grid_is_refused():
    with pytest.raises(
        ValueError, match=r'\(1, 2, 5, 5\) is not between the 4 queries and 4 keys'
    ):
        nonlocality(torch.rand(1, 2, 5, 5), (2, 2))
    assert grid_distances((1, 2), (1, 1), 2).tolist() == [[0.0], [1.0]]
