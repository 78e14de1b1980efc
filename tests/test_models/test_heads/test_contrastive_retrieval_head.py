import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from ranks import run_on_ranks
from torch import nn
from torch.nn import functional as F

from vit_plugins.models.heads import contrastive_retrieval_head

MEMORY = dict(type='CrossBatchMemory', size=20)
KOLEO = dict(type='KoLeoLoss', loss_weight=0.7)
DIAGNOSTICS = {'positives', 'active_negatives'}
DIAGNOSTICS |= {'neighbour_distance', 'effective_rank'}
DIAGNOSTICS |= {'positive_similarity', 'negative_similarity'}


def build(margin=0.2, memory=None, koleo=None, **settings):
    settings.setdefault('loss', dict(type='ContrastiveLoss', margin=margin))
    return MODELS.build(
        {'type': 'ContrastiveRetrievalHead', 'memory': memory, 'koleo': koleo, **settings}
    )


def samples(labels):
    return [DataSample().set_gt_label(int(label)) for label in labels]


def naive(anchors, references, labels, reference_labels, margin=0.2):
    """Compute Eq. (1) by its double sum."""
    total = 0.0
    for x, label in zip(anchors, labels, strict=True):
        for y, other in zip(references, reference_labels, strict=True):
            s = float(x @ y)
            total += 1 - s if label == other else max(s - margin, 0)
    return total / len(anchors)


# --- the objective ------------------------------------------------------------------------------


@pytest.mark.parametrize('n', [8, 13, 32])  # the memory of 20: wrapped unevenly, or overrun
def test_losses_are_those_of_the_equations(n):
    head = build(memory=MEMORY, koleo=KOLEO, batch_weight=0.5, memory_weight=2.0)
    past, past_labels = torch.zeros(0, 6), torch.zeros(0, dtype=torch.long)
    for _ in range(4):  # partly filled, full, wrapped
        feats, labels = 3 * torch.randn(n, 6), torch.randint(5, (n,))
        z = F.normalize(feats, dim=1)
        past, past_labels = torch.cat((past, z))[-20:], torch.cat((past_labels, labels))[-20:]
        losses = head.loss((feats,), samples(labels))
        expected = 0.5 * naive(z, z, labels, labels)
        assert losses['loss_contrastive'].item() == pytest.approx(expected, rel=1e-5)
        expected = 2.0 * naive(z, past, labels, past_labels)
        assert losses['loss_memory'].item() == pytest.approx(expected, rel=1e-5)
        assert losses['loss_koleo'] == MODELS.build(KOLEO)(z)


def equation(z, others, labels, other_labels, own=None):
    """Compute Eq. (1) so that autograd can follow it, without the pairs of a mask."""
    s = z @ others.T
    costs = torch.where(labels[:, None] == other_labels, 1 - s, (s - 0.2).clamp(min=0))
    return (costs if own is None else costs.masked_fill(own, 0)).sum() / len(z)


def test_gradients_are_those_of_the_equations():
    """Both ends of a pair in the batch are pulled, as both of KoLeo's; the memory is constant."""
    head = build(memory=MEMORY, koleo=KOLEO, batch_weight=0.5, memory_weight=2.0)
    head.loss((torch.randn(12, 6),), samples(torch.arange(12) % 5))
    past, past_labels = (values.clone() for values in head.memory.entries())
    feats, labels = torch.randn(8, 6, requires_grad=True), torch.arange(8) % 3
    losses = head.loss((feats,), samples(labels))
    z = F.normalize(feats, dim=1)
    held, held_labels = torch.cat((past, z.detach())), torch.cat((past_labels, labels))
    gaps = [min((z[i] - z[j]).norm() for j in range(8) if j != i) for i in range(8)]
    expected = {
        'loss_contrastive': 0.5 * equation(z, z, labels, labels),
        'loss_memory': 2.0 * equation(z, held, labels, held_labels),
        'loss_koleo': -0.7 * sum(gap.log() for gap in gaps) / 8,
    }
    for name, value in expected.items():
        (theirs,) = torch.autograd.grad(value, feats, retain_graph=True)
        (ours,) = torch.autograd.grad(losses[name], feats, retain_graph=True)
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
        assert theirs.abs().max() > 0.01


def test_only_losses_enter_the_objective():
    head = build(memory=MEMORY, koleo=KOLEO)
    losses = head.loss((torch.randn(8, 6),), samples(range(8)))
    summed = {name for name in losses if 'loss' in name}
    assert summed == {'loss_contrastive', 'loss_memory', 'loss_koleo'}
    others = losses.keys() - summed
    assert others == DIAGNOSTICS | {'memory_positives', 'memory_active_negatives'}
    assert not any(losses[name].requires_grad for name in others)
    assert build().loss((torch.randn(8, 6),), samples(range(8))).keys() == DIAGNOSTICS | {
        'loss_contrastive'
    }


def test_diagnostics():
    feats = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -3.0]])
    found = build(margin=-0.5).loss((feats,), samples([0, 0, 1, 2]))
    assert found['positives'] == 0.5  # one for each of the first two
    assert found['active_negatives'] == 1.5  # those at right angles
    assert found['neighbour_distance'].item() == pytest.approx(2**0.5)
    assert found['positive_similarity'] == 0
    assert found['negative_similarity'].item() == pytest.approx(-0.4)  # of 10 pairs, 4 opposite
    assert found['effective_rank'].item() == pytest.approx(2)


def test_gradients_of_both_parts_are_told():
    head = build(memory=MEMORY, koleo=KOLEO, log_gradients=True)
    labels, own = torch.arange(8) % 3, torch.eye(8, dtype=torch.bool)
    z = F.normalize(torch.randn(8, 6), dim=1).requires_grad_()
    found = head.loss((z,), samples(labels))
    total = equation(z, z, labels, labels, own) + equation(z, z.detach(), labels, labels, own)
    (gradient,) = torch.autograd.grad(total, z)
    assert found['contrastive_gradient'].item() == pytest.approx(gradient.norm().item(), rel=1e-4)
    nuclear = torch.linalg.matrix_norm(torch.cov(gradient.T, correction=0), 'nuc')
    assert found['gradient_noise'].item() == pytest.approx(nuclear.item(), rel=1e-4)
    (gradient,) = torch.autograd.grad(MODELS.build(KOLEO)(z), z)
    assert found['koleo_gradient'].item() == pytest.approx(gradient.norm().item(), rel=1e-4)
    sum(value for name, value in found.items() if 'loss' in name).backward()  # the graph is left
    with torch.no_grad():
        assert 'gradient_noise' not in head.loss((z,), samples(labels))
    without = build(log_gradients=True).loss((z,), samples(labels))
    assert without.keys() == DIAGNOSTICS | {
        'loss_contrastive',
        'contrastive_gradient',
        'gradient_noise',
    }


def test_memory_has_no_gradient_and_starts_late():
    head = build(memory=dict(MEMORY, start_iter=1))
    feats = torch.randn(8, 6, requires_grad=True)
    losses = head.loss((feats,), samples(range(8)))
    assert losses['loss_memory'] == 0
    assert len(head.memory) == 0
    head.loss((feats,), samples(range(8)))['loss_memory'].backward()
    assert len(head.memory) == 8
    assert not head.memory.entries()[0].requires_grad
    assert feats.grad.any()


def test_own_entries_are_no_pairs_but_keys_of_a_momentum_encoder_are():
    feats, keys, labels = torch.randn(8, 6), torch.randn(8, 6), torch.arange(8)
    own = build(memory=MEMORY).loss((feats,), samples(labels))
    assert own['memory_positives'] == 0
    kept = build(memory=MEMORY).loss((feats,), samples(labels), keys=keys)
    assert kept['memory_positives'] == 1
    z, k = F.normalize(feats, dim=1), F.normalize(keys, dim=1)
    assert kept['loss_memory'].item() == pytest.approx(naive(z, k, labels, labels), rel=1e-5)
    left_out = build(memory=MEMORY, keep_self_positive=False)
    left_out = left_out.loss((feats,), samples(labels), keys=keys)
    assert left_out['memory_positives'] == 0
    expected = naive(z, k, labels, labels) - (1 - (z * k).sum(1)).mean()
    assert left_out['loss_memory'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_any_pair_loss_fits():
    class Repulsion(nn.Module):
        def forward(self, anchors, references, anchor_labels, reference_labels, self_index=None):
            return (anchors @ references.T).mean()

    losses = build(loss=Repulsion()).loss((torch.randn(8, 6),), samples(range(8)))
    assert 'positives' not in losses
    assert losses['loss_contrastive'].isfinite()


def test_tuples():
    labels = [0, 0, 1, 2, 3, 3, 1, 2]
    head = build(loss=dict(type='TupleContrastiveLoss', tuple_size=4), koleo=KOLEO)
    feats = torch.randn(8, 6)
    z = F.normalize(feats, dim=1)
    expected = head.loss_module(z, z, *[torch.tensor(labels)] * 2)
    assert head.loss((feats,), samples(labels))['loss_contrastive'] == expected


def test_autocast_and_half_features_change_nothing():
    feats = torch.randn(8, 6).bfloat16()
    expected = build(memory=MEMORY, koleo=KOLEO).loss((feats.float(),), samples(range(8)))
    with torch.autocast('cpu', torch.bfloat16):
        losses = build(memory=MEMORY, koleo=KOLEO).loss((feats,), samples(range(8)))
    for name, value in losses.items():
        assert value.dtype == torch.float32
        assert value == expected[name], name


def test_a_single_image():
    head = build(memory=MEMORY, koleo=KOLEO)
    feats = torch.randn(1, 6, requires_grad=True)
    losses = head.loss((feats,), samples([3]))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not feats.grad.abs().max() > 1e-6


# --- collapse -----------------------------------------------------------------------------------


@pytest.fixture
def log(logged_by):
    return logged_by(contrastive_retrieval_head)


def test_collapse_to_a_point_is_logged_once_per_interval(log):
    head = build(warn_interval=3)
    for _ in range(7):
        head.loss((1 + 0.01 * torch.randn(8, 6),), samples(range(8)))
    assert len(log) == 3
    assert 'collapse: the mean cosine of different classes is 1.000 (limit 0.95)' in log[0]


def test_collapse_to_a_line_is_logged(log):
    line = torch.randn(8, 1) * torch.ones(6) + 0.001 * torch.randn(8, 6)
    build().loss((line,), samples(range(8)))
    assert 'effective rank 1.0 (limit 2)' in log[0]


def test_classes_that_are_not_told_apart_are_logged(log):
    labels = torch.arange(32) % 8
    build().loss((torch.randn(32, 64),), samples(labels))
    assert 'that of one class 0.0' in log[0].replace('-', '')
    build().loss((torch.randn(32, 64) + 4 * torch.randn(8, 64)[labels],), samples(labels))
    assert len(log) == 1


@pytest.mark.parametrize('labels', [range(8), [0, 0, 0, 0, 1, 1, 1, 1]])
def test_no_collapse(log, labels):
    spread = torch.randn(8, 6) if len(set(labels)) > 2 else torch.ones(8, 6)
    build().loss((spread,), samples(labels))
    assert log == []


# --- two ranks ----------------------------------------------------------------------------------

NETWORK = dict(
    type='EmbeddingRetriever',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
        img_size=16,
        patch_size=8,
    ),
    neck=dict(type='TokenPooling'),
)
VARIANTS = {
    'sum': dict(
        loss=dict(type='ContrastiveLoss', margin=0.2),
        memory=MEMORY,
        koleo=KOLEO,
        log_gradients=True,
    ),
    'mean': dict(
        loss=dict(type='ContrastiveLoss', margin=0.2, reduction='mean_active'), memory=MEMORY
    ),
    'tuples': dict(loss=dict(type='TupleContrastiveLoss', tuple_size=3), koleo=KOLEO),
    'momentum': dict(loss=dict(type='ContrastiveLoss', margin=0.2), memory=MEMORY),
}
SPLITS = {'sum': [(6, 6), (3, 9), (1, 11)], 'mean': [(6, 6), (4, 8)], 'tuples': [(6, 6), (3, 9)]}
SPLITS['momentum'] = [(5, 7)]


def network(variant):
    torch.manual_seed(0)
    model = dict(NETWORK, head=dict(type='ContrastiveRetrievalHead', **VARIANTS[variant]))
    if variant == 'momentum':
        model['momentum_encoder'] = 0.9
    model = MODELS.build(model)
    return model.double()  # features of a random ViT lie close: gradients are steep


def train(model, part):
    """Train three steps; return the gradients and measures of each, and the memory afterwards."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    generator, gradients = torch.Generator().manual_seed(1), []
    for _ in range(3):
        images = torch.randn(12, 3, 16, 16, generator=generator, dtype=torch.double)
        labels = torch.tensor([0, 0, 1, 2, 2, 3, 1, 1, 4, 5, 5, 2])
        losses = model(images[part], samples(labels[part]), mode='loss')
        total = sum(value for name, value in losses.items() if 'loss' in name)
        optimizer.zero_grad()
        total.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
        gradients[-1] += [x for name, x in losses.items() if 'gradient' in name]
        optimizer.step()
    memory = getattr(model, 'module', model).head.memory
    return gradients, None if memory is None else memory.entries()


def compare_ranks(rank, expected):
    for variant, splits in SPLITS.items():
        for first, _ in splits:
            part = slice(first) if rank == 0 else slice(first, None)
            model = MMDistributedDataParallel(network(variant), broadcast_buffers=False)
            gradients, memory = train(model, part)
            for one, other in zip(gradients, expected[variant][0], strict=True):
                largest = max((a - b).abs().max() for a, b in zip(one, other, strict=True))
                assert largest < 1e-6, (variant, first, largest)
                assert max(gradient.abs().max() for gradient in one) > 0.1
            if memory is not None:
                single = expected[variant][1]
                torch.testing.assert_close(memory[0], single[0], atol=1e-6, rtol=0)
                assert torch.equal(memory[1], single[1])
                for mine in memory:  # on both ranks to the bit
                    theirs = mine.clone()
                    torch.distributed.broadcast(theirs, 0)
                    assert torch.equal(theirs, mine)


@pytest.mark.slow
def test_two_ranks_are_one_process_with_the_joined_batch(tmp_path):
    expected = {variant: train(network(variant), slice(None)) for variant in SPLITS}
    run_on_ranks(compare_ranks, tmp_path, expected)


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(memory_weight=-1), r'memory_weight \(-1\) must not be negative'),
        (dict(batch_weight=0), 'batch_weight=0 without a memory leaves nothing'),
        (dict(warn_interval=0), r'warn_interval \(0\) must be at least 1'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_repr():
    text = repr(build(memory=MEMORY, koleo=KOLEO))
    assert 'batch_weight=1.0, memory_weight=1.0, keep_self_positive=True' in text
    assert 'CrossBatchMemory(size=20' in text
