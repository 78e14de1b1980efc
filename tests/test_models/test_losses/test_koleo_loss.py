import math

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from vit_plugins.models.losses.koleo_loss import (
    koleo_loss,
    nearest_neighbours,
    row_fingerprints,
)


def build(**settings):
    return MODELS.build({'type': 'KoLeoLoss', **settings})


def unit(*shape, **kwargs):
    return F.normalize(torch.randn(*shape, **kwargs), dim=-1)


# specs/irt.md 2.3 and 3.3
@pytest.mark.parametrize(
    ('vectors', 'expected'),
    [
        ([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]], 0.8605048),
        (torch.eye(4).tolist(), -math.log(2) / 2),
        ([[1.0, 0.0], [-1.0, 0.0]], -math.log(2)),
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], -math.log(2) / 2),
    ],
)
def test_vectors(vectors, expected):
    vectors = torch.tensor(vectors)
    assert koleo_loss(vectors).item() == pytest.approx(expected, abs=1e-6)
    assert build(loss_weight=0.7)(vectors).item() == pytest.approx(0.7 * expected, abs=1e-6)


@pytest.mark.parametrize(('dims', 'expected'), [(128, -0.2305), (384, -0.2828)])
def test_random_vectors(dims, expected):
    mean = sum(koleo_loss(unit(64, dims)).item() for _ in range(50)) / 50
    assert mean == pytest.approx(expected, abs=2e-3)


def test_equals_a_double_loop():
    z = unit(20, 5)
    logs = [
        math.log(min((z[i] - z[j]).norm().item() for j in range(20) if j != i)) for i in range(20)
    ]
    assert koleo_loss(z).item() == pytest.approx(-sum(logs) / 20, abs=1e-6)


def test_gradcheck():
    z = unit(9, 4, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(koleo_loss, (z,))


def test_order_and_rotation_change_nothing():
    z = unit(12, 6)
    rotation = torch.linalg.qr(torch.randn(6, 6))[0]
    torch.testing.assert_close(koleo_loss(z[torch.randperm(12)]), koleo_loss(z))
    torch.testing.assert_close(koleo_loss(z @ rotation), koleo_loss(z))


@pytest.mark.parametrize('number', [0, 1])
def test_fewer_than_two_have_no_neighbour(number):
    z = unit(number, 4).requires_grad_()
    loss = koleo_loss(z)
    loss.backward()
    assert loss == 0
    assert not z.grad.any()
    index, distance = nearest_neighbours(z)
    assert (index.shape, index.dtype) == ((number,), torch.long)
    assert (distance.shape, distance.dtype) == ((number,), torch.float32)


def test_duplicates_are_no_neighbours():
    z = unit(6, 4)
    twice = torch.cat((z, z[:1]))
    index, distance = nearest_neighbours(twice)
    assert index[0] == index[6] != 0
    assert distance[0] == distance[6] > 0
    expected = (6 * koleo_loss(z) - distance[0].log()) / 7
    torch.testing.assert_close(koleo_loss(twice), expected)
    assert koleo_loss(z[:1].repeat(3, 1)) == 0


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_fingerprints_are_those_of_equal_rows(dtype):
    vectors = torch.randint(-2, 3, (300, 3), dtype=dtype)
    vectors[0], vectors[1] = 0.0, -0.0
    found = row_fingerprints(vectors)
    expected = vectors.unique(dim=0, return_inverse=True)[1]
    assert torch.equal(found[:, None] == found, expected[:, None] == expected)
    near = unit(1, 16, dtype=dtype).repeat(17, 1)
    near[range(16), range(16)] = near[0].nextafter(torch.ones(16, dtype=dtype))
    assert len(row_fingerprints(near).unique()) == 17  # one bit is enough
    assert torch.equal(row_fingerprints(near.T.contiguous().T), row_fingerprints(near))


def test_near_duplicates_have_a_bounded_gradient():
    # 2 / (N·ρ) of a mutual pair down to ρ = 1e-3, then nothing
    x = torch.tensor([1.0, 0.0], dtype=torch.double)
    for gap, expected in ((1e-1, 1e1), (1e-2, 1e2), (2e-3, 500.0), (5e-4, 0.0)):
        z = torch.stack((x, x + torch.tensor([0.0, gap]))).requires_grad_()
        koleo_loss(z).backward()
        assert z.grad[0].norm().item() == pytest.approx(expected)


def test_small_distances_are_exact():
    z = unit(1, 384)
    z = F.normalize(torch.cat((z, z + 0.0005 * unit(1, 384))), dim=1)
    exact = (z[0].double() - z[1].double()).norm()
    expected = -exact.log().item()
    assert koleo_loss(z, min_distance=1e-6).item() == pytest.approx(expected, abs=1e-4)


def test_half_precision_is_computed_in_float32():
    z = unit(16, 8).bfloat16()
    z = torch.cat((z, z[:1]))  # where float16 arithmetic gives infinity
    with torch.autocast('cpu', torch.bfloat16):
        loss = build()(z)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build()(z.float()))


def test_refuses():
    with pytest.raises(ValueError, match=r'min_distance \(0\) must be positive'):
        build(min_distance=0)


def test_repr():
    assert repr(build()) == 'KoLeoLoss(loss_weight=0.7, min_distance=0.001)'
