import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn import functional as F

LABELS = torch.tensor([3, 3, 1, 2, 4, 8, 8, 3, 3, 2])  # query, positive, three negatives; twice


def build(**settings):
    return MODELS.build({'type': 'TupleContrastiveLoss', 'tuple_size': 5, **settings})


def vectors(**kwargs):
    return F.normalize(torch.randn(10, 6, **kwargs), dim=1)


def test_equals_a_loop():
    z, total = vectors(), 0.0
    for query in (0, 5):
        for other in range(query + 1, query + 5):
            distance = ((z[query] - z[other] + 1e-6) ** 2).sum().sqrt().item()
            is_positive = other == query + 1
            total += distance**2 / 2 if is_positive else max(0.85 - distance, 0) ** 2 / 2
    assert build()(z, z, LABELS, LABELS).item() == pytest.approx(total, rel=1e-5)
    doubled = build(loss_weight=2.0)(z, z, LABELS, LABELS).item()
    assert doubled == pytest.approx(2 * total, rel=1e-5)


def test_tuples_add_up():
    z = vectors()
    parts = [build()(z[i : i + 5], z[i : i + 5], *[LABELS[i : i + 5]] * 2) for i in (0, 5)]
    torch.testing.assert_close(sum(parts), build()(z, z, LABELS, LABELS))


def test_hand_computed():
    # D = 1 of the positive costs 0.5; of negatives, D = 0.6 costs 0.25² / 2, D = 1 nothing.
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.6], [0.0, 1.0]])
    y = torch.tensor([0, 0, 1, 2])
    loss = build(tuple_size=4)(z, z, y, y)
    assert loss.item() == pytest.approx(0.5 + 0.03125, abs=3e-6)


def test_gradcheck():
    loss, z = build(), vectors(dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, x, LABELS, LABELS), (z,))


def test_distances_have_the_eps_of_the_original():
    z, y = torch.zeros(3, 4), torch.tensor([0, 0, 1])
    loss = build(tuple_size=3)(z, z, y, y).item()
    assert loss == pytest.approx((0.85 - 2e-6) ** 2 / 2, abs=1e-7)
    assert loss < 0.85**2 / 2 - 1e-6


def test_equal_vectors_have_a_gradient():
    z = torch.ones(10, 6).requires_grad_()
    build()(z, z, LABELS, LABELS).backward()
    assert z.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    z = vectors().bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        loss = build()(z, z, LABELS, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build()(z.float(), z.float(), LABELS, LABELS))


@pytest.mark.parametrize('order', [[0, 2, 1, 3, 4], [0, 1, 2, 3, 0]])
def test_refuses_another_order(order):
    with pytest.raises(ValueError, match='not in the order query, positive, negatives'):
        build()(*[vectors()[:5]] * 2, *[LABELS[order]] * 2)


def test_refuses_broken_tuples_and_memories():
    z = vectors()
    with pytest.raises(ValueError, match='9 images are no whole tuples of 5'):
        build()(z[:9], z[:9], LABELS[:9], LABELS[:9])
    with pytest.raises(ValueError, match=r'20 references for 10 anchors.*set memory=None'):
        build()(z, z.repeat(2, 1), LABELS, LABELS.repeat(2))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(tuple_size=2), r'tuple_size \(2\) must be at least 3'),
        (dict(margin=-1), r'margin \(-1\) must lie between 0 and 2'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_repr():
    assert repr(build()) == 'TupleContrastiveLoss(tuple_size=5, margin=0.85, loss_weight=1.0)'
    published = MODELS.build({'type': 'TupleContrastiveLoss'})  # a query, a positive, 5 negatives
    assert (published.tuple_size, published.margin) == (7, 0.85)
