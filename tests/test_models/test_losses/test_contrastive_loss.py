import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from vit_plugins.models.losses.contrastive_loss import cosine_terms, euclidean_terms, pair_masks

# The vector of specs/irt.md 2.3 and its labels.
Z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
Y = torch.tensor([0, 0, 1, 1])
SETTINGS = [
    dict(similarity=similarity, reduction=reduction, margin=margin)
    for similarity, margin in (('cosine', 0.2), ('euclidean', 1.3))
    for reduction in ('sum_per_anchor', 'mean_active')
]


def build(**settings):
    return MODELS.build({'type': 'ContrastiveLoss', **settings})


def naive(anchors, references, labels, reference_labels, self_index, settings):
    """Compute both reductions by the paper's double sum."""
    positive, negative = [], []
    for i, x in enumerate(anchors):
        for j, y in enumerate(references):
            if j == self_index[i]:
                continue
            if settings['similarity'] == 'cosine':
                pull, push = 1 - x @ y, max(x @ y - settings['margin'], torch.tensor(0.0))
            else:
                distance = ((x - y + 1e-6) ** 2).sum() ** 0.5
                pull = distance**2 / 2
                push = max(settings['margin'] - distance, torch.tensor(0.0)) ** 2 / 2
            (positive if labels[i] == reference_labels[j] else negative).append(
                float(pull if labels[i] == reference_labels[j] else push)
            )
    if settings['reduction'] == 'sum_per_anchor':
        return (sum(positive) + sum(negative)) / len(anchors)
    return sum(
        sum(costs) / max(sum(cost > 0 for cost in costs), 1) for costs in (positive, negative)
    )


def test_vector_of_the_paper():
    loss = build(margin=0.5)
    per_anchor = [loss(Z[i : i + 1], Z, Y[i : i + 1], Y).item() for i in range(4)]
    assert per_anchor == pytest.approx([0.30, 0.76, 0.76, 0.30], abs=1e-6)
    assert loss(Z, Z, Y, Y).item() == pytest.approx(0.53, abs=1e-6)
    assert loss(Z, Z, Y, Y, torch.arange(4)).item() == pytest.approx(0.53, abs=1e-6)
    assert build(margin=0.5, loss_weight=2.0)(Z, Z, Y, Y).item() == pytest.approx(1.06, abs=1e-6)


def test_vector_of_the_mean():
    loss = build(margin=0.5, reduction='mean_active')
    assert loss(Z, Z, Y, Y, torch.arange(4)).item() == pytest.approx(0.42, abs=1e-6)


@pytest.mark.parametrize('margin', [0.1, 0.5])
def test_mean_active_equals_pytorch_metric_learning(margin):
    losses = pytest.importorskip('pytorch_metric_learning.losses')
    distances = pytest.importorskip('pytorch_metric_learning.distances')
    theirs = losses.ContrastiveLoss(1, margin, distance=distances.CosineSimilarity())
    z, y = F.normalize(torch.randn(24, 8), dim=1), torch.arange(24) % 5
    ours = build(margin=margin, reduction='mean_active')
    assert ours(z, z, y, y, torch.arange(24)).item() == pytest.approx(
        theirs(z, y).item(), abs=1e-6
    )


@pytest.mark.parametrize('settings', SETTINGS)
@pytest.mark.parametrize(('n', 'r'), [(8, 8), (8, 3), (24, 40), (64, 64)])
def test_equals_a_double_loop(settings, n, r):
    anchors = F.normalize(torch.randn(n, 6), dim=1)
    references = F.normalize(torch.randn(r, 6), dim=1)
    labels, reference_labels = torch.randint(4, (n,)), torch.randint(4, (r,))
    self_index = torch.randint(-1, r, (n,))
    values = anchors, references, labels, reference_labels, self_index
    assert build(**settings)(*values).item() == pytest.approx(naive(*values, settings), rel=1e-5)


def test_gradient_is_that_of_the_xbm_formula_but_for_its_radial_part():
    # There negatives cost s instead of s - β: another value, the same slope.
    z = F.normalize(torch.randn(16, 6), dim=1).requires_grad_()
    y = torch.arange(16) % 4
    (ours,) = torch.autograd.grad(build(margin=0.3)(z, z, y, y), z)
    same = y[:, None] == y
    s = z @ z.T
    theirs = ((1 - s)[same & (s < 1 - 1e-5)].sum() + s[~same & (s > 0.3)].sum()) / 16
    (theirs,) = torch.autograd.grad(theirs, z)
    unit = z.detach()
    difference = ours - theirs
    difference = difference - (difference * unit).sum(1, keepdim=True) * unit
    assert difference.abs().max() < 1e-6


@pytest.mark.parametrize('reduction', ['sum_per_anchor', 'mean_active'])
def test_distant_strangers_cost_nothing(reduction):
    z = torch.eye(4).requires_grad_()
    loss = build(margin=0.5, reduction=reduction)(z, z, *[torch.arange(4)] * 2, torch.arange(4))
    loss.backward()
    assert loss == 0
    assert not z.grad.any()


@pytest.mark.parametrize('settings', SETTINGS)
def test_gradcheck(settings):
    torch.manual_seed(1)
    x, y = (F.normalize(torch.randn(n, 4, dtype=torch.double), dim=1) for n in (5, 7))
    labels = torch.arange(5) % 2, torch.arange(7) % 2
    loss = build(**settings)
    inputs = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, *labels), inputs)


def test_diagnostics():
    values = Z, Z, Y, Y, torch.arange(4)
    loss, counts = build(margin=0.5).with_diagnostics(*values)
    assert loss == build(margin=0.5)(*values)
    assert counts == {'positives': 1.0, 'active_negatives': 1.5}  # (1 + 2 + 2 + 1) / 4


def test_mean_over_anchors_tells_what_ranks_may_share_out():
    assert build().mean_over_anchors
    assert not build(reduction='mean_active').mean_over_anchors


def test_half_precision_is_computed_in_float32():
    z = F.normalize(torch.randn(16, 8), dim=1).bfloat16()
    y = torch.arange(16) % 4
    with torch.autocast('cpu', torch.bfloat16):
        loss = build()(z, z, y, y)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build()(z.float(), z.float(), y, y))


def test_no_anchors():
    z = torch.zeros(0, 2, requires_grad=True)
    loss = build()(z, Z, Y[:0], Y)
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize('rows', [2, 26, 100])  # torch itself changes the method above 25
def test_distances_of_near_duplicates_are_exact(rows):
    anchors = F.normalize(torch.randn(rows, 64), dim=1)
    references = F.normalize(anchors + 7e-5 * torch.randn(rows, 64), dim=1)
    distance = (anchors.double() - references.double() + 1e-6).norm(dim=1)
    assert 3e-4 < distance.min() < distance.max() < 9e-4
    pull, push = euclidean_terms(anchors, references, margin=0.85)
    torch.testing.assert_close(pull.diag().double(), distance.square() / 2, rtol=2e-3, atol=0)
    torch.testing.assert_close(
        push.diag().double(), (0.85 - distance).square() / 2, rtol=1e-6, atol=0
    )


def test_pure_functions():
    positive, negative = pair_masks(Y[:1], Y, torch.tensor([0]))
    assert positive.tolist() == [[False, True, False, False]]
    assert negative.tolist() == [[False, False, True, True]]
    pull, push = cosine_terms(Z[:1], Z, 0.5)
    torch.testing.assert_close(pull, torch.tensor([[0.0, 0.2, 0.4, 1.0]]))
    torch.testing.assert_close(push, torch.tensor([[0.5, 0.3, 0.1, 0.0]]))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(similarity='dot'), r"similarity \('dot'\) must be one of \('cosine', 'euclidean'\)"),
        (dict(reduction='sum'), r"reduction \('sum'\) must be one of"),
        (dict(margin=1.5), r'margin \(1.5\) must lie between -1 and 1 for the cosine'),
        (dict(margin=-0.1, similarity='euclidean'), 'between 0 and 2 for the euclidean'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_repr():
    text = 'margin=0.5, similarity=cosine, reduction=sum_per_anchor, loss_weight=1.0'
    assert repr(build()) == f'ContrastiveLoss({text})'
