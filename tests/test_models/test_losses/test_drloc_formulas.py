"""The formulas against slow loops, and against values computed by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from vit_plugins.models.losses.drloc_formulas import (
    ce_loss,
    count_classes,
    gather_pairs,
    l1_loss,
    lowest_class,
    pair_offsets,
    pool_to_grid,
    reg_loss,
    relative_targets,
    sample_pairs,
)


def all_pairs(h, w):
    """Return every ordered pair of cells once: the exact expectation over uniform pairs."""
    cells = torch.arange(h * w)
    return torch.cartesian_prod(cells, cells)[None]  # (1, (hw)^2, 2)


def class_numbers(k, preset, signed):
    """Return the class of the offset along the rows for every pair of the k x k grid."""
    offsets = pair_offsets(all_pairs(k, k), k)
    offsets = offsets if signed else offsets.abs()
    return offsets[:, 0] - lowest_class(k, preset, signed)


def test_sampled_pairs_are_uniform_and_new_for_each_image():
    pairs = sample_pairs(5000, 3, 4, 2, generator=torch.Generator().manual_seed(1))
    assert pairs.shape == (2, 5000, 2)
    assert pairs.dtype == torch.int64
    counts = pairs.flatten().bincount(minlength=12)
    assert len(counts) == 12  # each cell of 3 x 4, none beyond
    assert (counts / counts.sum() - 1 / 12).abs().max() < 0.01
    assert not torch.equal(pairs[0], pairs[1])


def test_identical_pairs_occur_unless_excluded():
    generator = torch.Generator().manual_seed(1)
    same = lambda p: (p[..., 0] == p[..., 1]).float().mean()  # noqa: E731
    drawn = sample_pairs(20000, 7, 7, 1, generator=generator)
    assert same(drawn) == pytest.approx(1 / 49, abs=0.004)  # 2.04 %, spec 1.2
    drawn = sample_pairs(20000, 2, 3, 1, generator=generator, exclude_identical=True)
    assert same(drawn) == 0
    kinds = (drawn[..., 0] * 6 + drawn[..., 1]).unique()
    assert len(kinds) == 30  # all others do


def test_one_cell_has_no_different_pair():
    with pytest.raises(ValueError, match='1x1 grid has no two different cells'):
        sample_pairs(4, 1, 1, 1, exclude_identical=True)


def test_token_coverage_of_64_pairs():
    # Spec 7: 92.9 % of 49 cells, 48.0 % of 196.
    for k, share in ((7, 0.929), (14, 0.480)):
        pairs = sample_pairs(64, k, k, 400, generator=torch.Generator().manual_seed(1))
        seen = torch.stack([p.flatten().bincount(minlength=k * k) > 0 for p in pairs])
        assert seen.float().mean() == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize(('h', 'w'), [(7, 7), (7, 9), (9, 7), (1, 5), (5, 1)])
def test_gather_returns_the_sampled_cells(h, w):
    pairs = sample_pairs(16, h, w, 3)
    numbers = torch.arange(h * w).view(h, w).float()
    # Channel 0 names the cell, channel 1 the image.
    grid = torch.stack([torch.stack((numbers, torch.full((h, w), float(b)))) for b in range(3)])
    got = gather_pairs(grid, pairs).view(3, 16, 2, 2)
    assert torch.equal(got[..., 0], pairs.float())
    assert torch.equal(got[..., 1], torch.arange(3.0)[:, None, None].expand(3, 16, 2))


def test_gather_does_not_care_about_memory_layout():
    grid = torch.randn(2, 3, 4, 5)
    pairs = sample_pairs(8, 4, 5, 2)
    channels_last = grid.to(memory_format=torch.channels_last)
    assert torch.equal(gather_pairs(grid, pairs), gather_pairs(channels_last, pairs))


def test_swapping_the_ends_negates_offsets():
    pairs = sample_pairs(32, 5, 7, 2)
    there, back = pair_offsets(pairs, 7), pair_offsets(pairs.flip(-1), 7)
    assert torch.equal(there, -back)
    for preset in ('paper', 'official'):
        targets = [relative_targets(x, 5, 7, preset) for x in (there, back)]
        assert torch.equal(*targets)
    signed = [relative_targets(x, 5, 7, 'paper', signed=True) for x in (there, back)]
    assert torch.equal(signed[0], -signed[1])


@pytest.mark.parametrize('signed', [False, True])
@pytest.mark.parametrize('preset', ['paper', 'official'])
@pytest.mark.parametrize(('h', 'w'), [(7, 7), (3, 5), (1, 4)])
def test_targets_against_a_slow_loop(h, w, preset, signed):
    pairs = sample_pairs(20, h, w, 2)
    expected = []
    for image in pairs.tolist():
        for a, b in image:
            (i, j), (p, q) = divmod(a, w), divmod(b, w)
            du, dv = (i - p, j - q) if signed else (abs(i - p), abs(j - q))
            if preset == 'paper':
                expected.append((du / h, dv / w))
            elif signed:
                expected.append((du + h - 1, dv + w - 1))
            else:
                expected.append((du, dv))
    got = relative_targets(pair_offsets(pairs, w), h, w, preset, signed)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(('k', 'raw'), [(7, 2.2857), (14, 4.6429), (28, 9.3214)])
def test_l1_of_a_zero_predictor(k, raw):
    # E|Δ| = (k² - 1) / (3k), spec 7. The paper's norm sums two axes and divides by k.
    assert (k * k - 1) / (3 * k) == pytest.approx(raw, abs=5e-5)
    offsets = pair_offsets(all_pairs(k, k), k)
    for preset, expected in (('official', raw), ('paper', 2 * raw / k)):
        target = relative_targets(offsets, k, k, preset)
        value = l1_loss(torch.zeros_like(target), target, preset)
        assert value.item() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(('k', 'raw'), [(7, 66 / 49), (14, 2.7245), (28, 5.4643)])
def test_l1_of_the_best_constant(k, raw):
    offsets = pair_offsets(all_pairs(k, k), k)
    for preset, expected in (('official', raw), ('paper', 2 * raw / k)):
        target = relative_targets(offsets, k, k, preset)
        best = target.median(0).values.expand_as(target)
        assert l1_loss(best, target, preset).item() == pytest.approx(expected, abs=5e-5)
    # Signed offsets: the best constant is 0, the loss E|Δ|.
    target = relative_targets(offsets, k, k, 'paper', signed=True)
    value = l1_loss(torch.zeros_like(target), target)
    assert value.item() == pytest.approx(2 * (k * k - 1) / (3 * k) / k, abs=5e-5)


def test_half_raw_is_one_and_three_quarters_of_the_paper():
    # 0.5 on official targets equals 1.75 under paper, at k = 7 and for predictions scaled by 1/k.
    offsets = pair_offsets(sample_pairs(64, 7, 7, 4), 7)
    pred = torch.rand(len(offsets), 2) * 6
    official = l1_loss(pred, relative_targets(offsets, 7, 7, 'official'), 'official')
    paper = l1_loss(pred / 7, relative_targets(offsets, 7, 7, 'paper'), 'paper')
    torch.testing.assert_close(0.5 * official, 1.75 * paper)


def test_paper_l1_per_axis_on_a_non_square_grid():
    pairs = torch.tensor([[[0, 5 * 8 + 7]]])  # corner to corner of 6 x 8
    target = relative_targets(pair_offsets(pairs, 8), 6, 8)
    torch.testing.assert_close(target, torch.tensor([[5 / 6, 7 / 8]]))


@pytest.mark.parametrize(
    ('preset', 'signed', 'count', 'lowest'),
    [('paper', True, 15, -7), ('official', True, 13, -6), ('official', False, 7, 0)],
)
def test_number_of_classes(preset, signed, count, lowest):
    assert count_classes(7, preset, signed) == count
    assert lowest_class(7, preset, signed) == lowest
    numbers = class_numbers(7, preset, signed)
    unused = 1 if preset == 'paper' else 0  # ±k never occur
    assert (numbers.min(), numbers.max()) == (unused, count - 1 - unused)


def test_classes_are_those_of_signed_offsets_of_the_paper_unless_told():
    assert (count_classes(7), lowest_class(7)) == (15, -7)
    assert (count_classes(7, 'official'), lowest_class(7, 'official')) == (13, -6)


@pytest.mark.parametrize(
    ('preset', 'signed', 'expected'),
    [
        ('paper', True, 2 * math.log(15)),
        ('official', True, 5.1299),
        ('official', False, 3.8918),
    ],
)
def test_ce_at_uniform_logits(preset, signed, expected):
    numbers = class_numbers(7, preset, signed)
    logits = torch.zeros(len(numbers), count_classes(7, preset, signed))
    assert 2 * ce_loss(logits, numbers).item() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(('signed', 'floor'), [(False, 3.670), (True, 4.858)])
def test_ce_entropy_floor(signed, floor):
    # Entropy of the offsets: P(Δ) = (7 - |Δ|)/49; of |Δ|, twice that but for 0.
    counts = [7 - abs(d) for d in range(-6, 7)] if signed else [7, 12, 10, 8, 6, 4, 2]
    entropy = -sum(c / 49 * math.log(c / 49) for c in counts)
    assert 2 * entropy == pytest.approx(floor, abs=1e-3)
    numbers = class_numbers(7, 'official', signed)
    logits = torch.tensor(counts).log().expand(len(numbers), -1)
    assert ce_loss(logits, numbers).item() == pytest.approx(entropy, abs=1e-5)


@pytest.mark.parametrize(
    ('preset', 'signed', 'expected'),
    [
        ('official', False, 1.6456),  # 2((161/49)/4 + 0.001 ln 4)
        ('official', True, 1.1481),  # 2(8/14 + 0.001 ln 14)
        ('paper', True, 2 * (8 / (56 / 3) + 0.001 * math.log(56 / 3))),  # 15 classes: σ² = 56/3
    ],
)
def test_reg_at_uniform_logits(preset, signed, expected):
    numbers = class_numbers(7, preset, signed)
    logits = torch.zeros(len(numbers), count_classes(7, preset, signed))
    assert 2 * reg_loss(logits, numbers).item() == pytest.approx(expected, abs=5e-5)


def test_reg_against_a_slow_loop():
    logits, classes = torch.randn(6, 5), torch.randint(5, (6,))
    total = 0.0
    for row, c in zip(logits.double(), classes.tolist(), strict=True):
        weights = [math.exp(x) for x in row.tolist()]
        p = [x / sum(weights) for x in weights]
        mean = sum(i * x for i, x in enumerate(p))
        variance = sum(x * (i - mean) ** 2 for i, x in enumerate(p))
        total += (c - mean) ** 2 / variance + 0.05 * math.log(math.sqrt(variance))
    value = reg_loss(logits, classes, variance_weight=0.05)
    assert value.item() == pytest.approx(total / 6, rel=1e-5)


def test_reg_stays_finite_for_confident_guesses():
    logits = torch.zeros(2, 7)
    logits[:, 3] = 100.0  # one-hot: σ² = 0
    logits.requires_grad_()
    right, wrong = (reg_loss(logits, torch.full((2,), c)) for c in (3, 0))
    assert right.item() == pytest.approx(0.001 * math.log(1e-3))
    assert wrong.item() == pytest.approx(9 / 1e-3, rel=1e-3)
    (grad,) = torch.autograd.grad(wrong, logits)
    assert grad.isfinite().all()


def test_one_class_costs_nothing():
    logits = torch.randn(4, 1)
    assert ce_loss(logits, torch.zeros(4, dtype=torch.long)) == 0


@pytest.mark.parametrize(
    ('full', 'size'), [((14, 14), (7, 7)), ((13, 9), (7, 4)), ((5, 8), (5, 3))]
)
def test_pooling_equals_the_adaptive_one(full, size):
    grid = torch.randn(2, 3, *full, dtype=torch.float64)
    torch.testing.assert_close(pool_to_grid(grid, size), F.adaptive_avg_pool2d(grid, size))


def test_pooling_does_not_invent_cells():
    with pytest.raises(ValueError, match='the 4x9 token grid is smaller than grid_size 7x7'):
        pool_to_grid(torch.randn(1, 2, 4, 9), (7, 7))
