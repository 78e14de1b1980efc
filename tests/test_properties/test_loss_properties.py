"""Properties of every loss, neck and head, for any batch, width and labels."""

import pytest
import torch
from hypothesis import strategies as st
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from properties import AUTOCAST, SEEDS, check_gradients, holds, over, precision, randn, repeats
from torch.nn import functional as F

SCALES = st.sampled_from([0.0, 1e-6, 1.0, 1e4])  # equal, nearly equal, usual, far


def embedded(seed, number, width, scale):
    return F.normalize(randn(seed, number, width) * scale + 1e-3, dim=-1).requires_grad_()


def labels_of(seed, number, classes):
    return torch.randint(classes, (number,), generator=torch.Generator().manual_seed(seed))


def pairs(vectors, labels):
    return vectors, vectors, labels, labels, torch.arange(len(labels))


VECTOR_LOSSES = {  # settings, and the arguments of a call
    'ContrastiveLoss': (
        st.fixed_dictionaries(
            {
                'similarity': st.sampled_from(['cosine', 'euclidean']),
                'reduction': st.sampled_from(['sum_per_anchor', 'mean_active']),
                'margin': st.floats(0, 1),
            }
        ),
        pairs,
    ),
    'KoLeoLoss': (
        st.fixed_dictionaries({'min_distance': st.sampled_from([1e-8, 1e-3, 1.0])}),
        lambda vectors, _: (vectors,),
    ),
    'BinaryCrossEntropyLoss': (
        st.fixed_dictionaries({'reduction': st.sampled_from(['mean', 'sum'])}),
        lambda vectors, labels: (vectors, labels % vectors.shape[1]),
    ),
    'TupleContrastiveLoss': (
        st.fixed_dictionaries({'tuple_size': st.just(3), 'margin': st.floats(0, 2)}),
        lambda vectors, _: pairs(
            vectors[: len(vectors) // 3 * 3],
            torch.tensor([0, 0, 1]).repeat(len(vectors) // 3),
        ),
    ),
}


@over(VECTOR_LOSSES)
def test_loss_of_vectors(name, examples):
    settings, arguments = VECTOR_LOSSES[name]

    def check(kwargs, number, width, classes, scale, dtype, seed):
        loss = MODELS.build(dict(type=name, **kwargs))
        vectors, labels = embedded(seed, number, width, scale), labels_of(seed, number, classes)
        given = vectors if dtype is None else vectors.to(dtype)
        with precision(dtype):
            value = loss(*arguments(given, labels))
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert value.isfinite()
        check_gradients(value, vectors)
        if dtype is None:
            repeats(lambda: loss(*arguments(vectors, labels)).detach(), examples)
            double = loss(*arguments(vectors.detach().double(), labels))
            torch.testing.assert_close(double.float(), value, rtol=1e-3, atol=1e-4)

    holds(
        check,
        examples,
        kwargs=settings,
        number=st.integers(0, 9),
        width=st.integers(1, 8),
        classes=st.integers(1, 4),
        scale=SCALES,
        dtype=AUTOCAST,
        seed=SEEDS,
    )


@over({'DRLocLoss': None})
@pytest.mark.filterwarnings('ignore:a .* token grid has no offset')
def test_loss_of_grids(name, examples):
    def check(batch, h, w, mode, preset, cells, excluded, scale, dtype, seed):
        loss = MODELS.build(
            dict(
                type=name,
                in_channels=4,
                mode=mode,
                preset=preset,
                num_pairs=5,
                hidden_dims=(6,),
                grid_size=None if mode == 'l1' else (min(h, 3), min(w, 2)),
                weight_in_cells=cells and (preset, mode) == ('paper', 'l1'),
                exclude_identical=excluded and min(h, 3) * min(w, 2) > 1,
            )
        )
        grid = (randn(seed, batch, 4, h, w) * scale).requires_grad_()

        def value():
            generator = torch.Generator().manual_seed(seed)
            with precision(dtype):
                return loss(grid, generator=generator)

        found = value()
        assert found.shape == ()
        assert found.dtype == torch.float32
        assert found.isfinite()
        check_gradients(found, grid, module=loss)
        if dtype is None:
            repeats(lambda: value().detach(), examples)

    holds(
        check,
        examples,
        batch=st.integers(0, 3),
        h=st.integers(1, 5),
        w=st.integers(1, 5),
        mode=st.sampled_from(['l1', 'ce', 'reg']),
        preset=st.sampled_from(['paper', 'official']),
        cells=st.booleans(),
        excluded=st.booleans(),
        scale=SCALES,
        dtype=AUTOCAST,
        seed=SEEDS,
    )


def pca(kwargs):
    neck = MODELS.build(dict(type='PCAProjection', **kwargs))
    neck.fit(randn(0, 20, kwargs['in_dims']))
    return neck


NECKS = {  # how to build one of a width, and the shape of its result
    'PCAProjection': (
        lambda width, mode: pca(dict(in_dims=width, out_dims=1)),
        lambda x: x.mean(1),
        lambda n, width, mode: (n, 1),
    ),
    'SequencePooling': (
        lambda width, mode: MODELS.build(dict(type='SequencePooling', in_channels=width)),
        lambda x: x,
        lambda n, width, mode: (n, width),
    ),
    'TokenPooling': (
        lambda width, mode: MODELS.build(
            dict(type='TokenPooling', mode=mode, learn_p=mode == 'gem')
        ),
        lambda x: x,
        lambda n, width, mode: (n, 2 * width if mode == 'cls_avg' else width),
    ),
}


@over(NECKS)
def test_neck(name, examples):
    build, prepare, shape = NECKS[name]

    def check(batch, tokens, width, mode, scale, dtype, seed):
        torch.manual_seed(0)
        neck = build(width, mode)
        feats = (randn(seed, batch, tokens, width) * scale).requires_grad_()

        def pooled():
            out = neck(prepare(feats))
            return out[0] if isinstance(out, tuple) else out

        with precision(dtype):
            out = pooled()
        assert out.shape == shape(batch, width, mode)
        assert out.isfinite().all()
        assert out.dtype in (torch.float32, dtype)
        check_gradients(out.float().sum(), feats, module=neck)
        repeats(lambda: pooled().detach(), examples, atol=1e-5 * max(scale, 1))

    holds(
        check,
        examples,
        batch=st.integers(0, 3),
        tokens=st.integers(2, 6),
        width=st.integers(1, 8),
        mode=st.sampled_from(['cls', 'avg', 'max', 'gem', 'cls_avg']),
        scale=SCALES,
        dtype=AUTOCAST,
        seed=SEEDS,
    )


def retrieval_head(size, koleo):
    memory = dict(type='CrossBatchMemory', size=size) if size else None
    koleo = dict(type='KoLeoLoss') if koleo else None
    loss = dict(type='ContrastiveLoss')
    return MODELS.build(
        dict(type='ContrastiveRetrievalHead', loss=loss, memory=memory, koleo=koleo)
    )


def drloc_head(size, koleo):
    return MODELS.build(
        dict(
            type='DRLocHead',
            in_channels=8,
            num_pairs=4,
            hidden_dims=(6,),
            head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=8),
        )
    )


def bce_head(size, koleo):
    return MODELS.build(dict(type='VisionTransformerBCEHead', num_classes=3, in_channels=8))


HEADS = {  # how to build one, and its input from tokens (B, 1 + N, D)
    'ContrastiveRetrievalHead': (retrieval_head, lambda x: (x[:, 0],)),
    'DRLocHead': (drloc_head, lambda x: (x,)),
    'VisionTransformerBCEHead': (bce_head, lambda x: (x[:, 0],)),
}


@over(HEADS)
@pytest.mark.filterwarnings('ignore:a .* token grid has no offset')
def test_head(name, examples):
    build, prepare = HEADS[name]

    def check(batch, h, w, size, koleo, classes, scale, dtype, seed):
        torch.manual_seed(0)
        head = build(size, koleo)
        tokens = (randn(seed, batch, 1 + h * w, 8) * scale).requires_grad_()
        samples = [
            DataSample(metainfo=dict(img_shape=(8 * h, 8 * w))).set_gt_label(int(label))
            for label in labels_of(seed, batch, classes)
        ]
        for _ in range(2):  # a memory is first empty, then full
            with precision(dtype):
                losses = head.loss(prepare(tokens), samples)
            assert all(value.isfinite().all() for value in losses.values())
            total = sum(value for key, value in losses.items() if 'loss' in key)
            assert total.dtype == torch.float32
            check_gradients(total, tokens, module=head)

    holds(
        check,
        examples,
        batch=st.integers(1, 5),
        h=st.integers(1, 4),
        w=st.integers(1, 4),
        size=st.integers(0, 7),
        koleo=st.booleans(),
        classes=st.integers(1, 3),
        scale=SCALES,
        dtype=AUTOCAST,
        seed=SEEDS,
    )


@over({'CrossBatchMemory': None})
def test_memory(name, examples):
    """The memory holds the newest embeddings, whatever the sizes of the batches."""

    def check(size, start, sizes, seed):
        memory = MODELS.build(dict(type=name, size=size, start_iter=start))
        stored = []
        for i, number in enumerate(sizes):
            vectors, labels = randn(seed + i, number, 2), torch.arange(number) + 10 * i
            rows = memory.store(vectors, labels)
            stored += labels.tolist() if i >= start else []
            entries, found = memory.entries()
            assert memory.entries_by_age()[1].tolist() == stored[-size:]
            kept = rows >= 0
            assert torch.equal(found[rows[kept]], labels[kept])
            assert not kept.any() or torch.equal(entries[rows[kept]], vectors[kept])
        other = MODELS.build(dict(type=name, size=size, start_iter=start))
        other.load_state_dict(memory.state_dict())
        assert other.entries_by_age()[1].tolist() == stored[-size:]

    sizes = st.lists(st.integers(0, 6), max_size=6)
    holds(
        check, examples, size=st.integers(1, 8), start=st.integers(0, 2), sizes=sizes, seed=SEEDS
    )
