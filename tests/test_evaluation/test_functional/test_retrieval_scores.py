"""Scores against slow loops, faiss and pytorch-metric-learning, with ties and without."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from vit_plugins.evaluation.functional import retrieval_ranking
from vit_plugins.evaluation.functional.retrieval_scores import (
    RETRIEVAL_METRICS,
    retrieval_scores,
    scores_of_ranks,
)

TOPK = (1, 2, 4, 1000)


@cache
def slow_scores(n, classes, with_gallery, optimistic):
    """Compute the scores by sorting all references of each query, ties in the given order."""
    embeddings, labels = gallery, gallery_labels = whole_numbers(n, classes)
    own = not with_gallery
    if with_gallery:
        gallery, gallery_labels = whole_numbers(n + 37, classes, seed=1)
    rows, left_out = [], 0
    for i in range(len(embeddings)):
        similarity = gallery.astype(np.float64) @ embeddings[i].astype(np.float64)
        others = [j for j in range(len(gallery)) if not (own and i == j)]
        others.sort(key=lambda j: (-similarity[j], (gallery_labels[j] != labels[i]) == optimistic))
        relevant = np.array([gallery_labels[j] == labels[i] for j in others])
        r = relevant.sum()
        if r == 0:
            left_out += 1
            continue
        precision = relevant.cumsum() / np.arange(1, len(others) + 1)
        hits = precision * relevant
        recalls = [relevant[:k].any() for k in TOPK]
        rows.append(
            [*recalls, relevant[0], hits[:r].sum() / r, relevant[:r].sum() / r, hits.sum() / r]
        )
    return np.mean(np.array(rows, np.float64), axis=0), left_out


def whole_numbers(n, classes, seed=0, dims=4):
    """Return embeddings with many ties and exact products, huge labels, and single images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n) + 2**40
    return rng.integers(-3, 4, (n, dims)).astype(np.float32), labels


def unit_vectors(n, classes, dims=16, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    vectors = rng.standard_normal((n, dims)) + 0.5 * rng.standard_normal((classes, dims))[labels]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.fixture(params=['as is', 'small blocks', 'sorting', 'a column of blocks'])
def sizes(request, monkeypatch):
    """Set small block sizes, so that there are several blocks, and each method of counting."""
    changes = {
        'small blocks': dict(BLOCK=64, BLOCK_ENTRIES=5000),
        'sorting': dict(FEW=1, BLOCK_ENTRIES=5000),
        'a column of blocks': dict(BLOCK=64, FEW=64, BLOCK_ENTRIES=1),
    }
    for name, value in changes.get(request.param, {}).items():
        monkeypatch.setattr(retrieval_ranking, name, value)


@pytest.mark.parametrize('metrics', [('Recall', 'P@1'), RETRIEVAL_METRICS[:-1], RETRIEVAL_METRICS])
@pytest.mark.parametrize('with_gallery', [False, True])
@pytest.mark.parametrize(('n', 'classes'), [(150, 45), (150, 3), (60, 200)])
def test_equal_to_slow_loops_on_ties(n, classes, with_gallery, metrics, sizes):
    embeddings, labels = whole_numbers(n, classes)
    gallery = whole_numbers(n + 37, classes, seed=1) if with_gallery else (None, None)
    scores = retrieval_scores(
        embeddings, labels, *gallery, topk=TOPK, metrics=metrics, similarity='dot'
    )
    for found, optimistic in ((scores.pessimistic, False), (scores.optimistic, True)):
        expected, left_out = slow_scores(n, classes, with_gallery, optimistic)
        assert list(found.values()) == pytest.approx(expected[: len(found)], abs=1e-12)
    assert (scores.queries, scores.without_positives) == (n - left_out, left_out)
    assert n < 100 or scores.optimistic['P@1'] > scores.pessimistic['P@1']


def faiss_recalls(embeddings, labels, gallery=None, gallery_labels=None, topk=(1, 5, 20)):
    own = gallery is None
    if own:
        gallery, gallery_labels = embeddings, labels
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    found = index.search(embeddings, max(topk) + own)[1]
    hits = []
    for i, row in enumerate(found):
        row = row[row != i][: max(topk)] if own else row
        if (gallery_labels == labels[i]).sum() > own:
            hits.append(gallery_labels[row] == labels[i])
    return {f'Recall@{k}': np.mean([row[:k].any() for row in hits]) for k in topk}


def metric_learning(embeddings, labels, gallery=None, gallery_labels=None):
    names = {
        'precision_at_1': 'P@1',
        'mean_average_precision_at_r': 'MAP@R',
        'r_precision': 'R-precision',
        'mean_average_precision': 'mAP',
    }
    calculator = AccuracyCalculator(include=tuple(names), k=None, device=torch.device('cpu'))
    parts = [
        torch.from_numpy(x) for x in (embeddings, labels, gallery, gallery_labels) if x is not None
    ]
    found = calculator.get_accuracy(*parts)
    return {ours: found[theirs] for theirs, ours in names.items()}


@pytest.mark.parametrize('with_gallery', [False, True])
def test_equal_to_faiss_and_pytorch_metric_learning_without_ties(with_gallery):
    data = unit_vectors(400, 60)
    if with_gallery:
        data += unit_vectors(300, 60, seed=1)
    scores = retrieval_scores(*data, topk=(1, 5, 20))
    assert scores.pessimistic == scores.optimistic
    theirs = faiss_recalls(*data) | metric_learning(*data)
    assert scores.pessimistic == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize('with_gallery', [False, True])
def test_on_ties_theirs_lie_between_ours(with_gallery):
    data = unit_vectors(400, 60)
    embeddings = data[0][np.random.default_rng(0).integers(0, 150, 400)]  # repeated vectors
    data = (embeddings, data[1])
    if with_gallery:
        data += (embeddings[::-1].copy(), unit_vectors(400, 60, seed=2)[1])
    scores = retrieval_scores(*data, topk=(1, 5, 20))
    theirs = faiss_recalls(*data) | metric_learning(*data)
    for name, value in theirs.items():
        assert scores.pessimistic[name] - 1e-6 <= value <= scores.optimistic[name] + 1e-6, name
    assert scores.optimistic['P@1'] - scores.pessimistic['P@1'] > 0.04


def test_equal_vectors_tie_whatever_block_they_are_in(monkeypatch):
    monkeypatch.setattr(retrieval_ranking, 'BLOCK', 128)
    vector = torch.nn.functional.normalize(torch.randn(384), dim=0)
    labels = np.repeat(np.arange(300), 2)
    for metrics in (('Recall',), ('Recall', 'mAP')):
        scores = retrieval_scores(
            vector.repeat(600, 1), labels, topk=(1, 598, 599), metrics=metrics
        )
        assert scores.optimistic['Recall@1'] == 1
        assert scores.pessimistic['Recall@598'] == 0
        assert scores.pessimistic['Recall@599'] == 1


@pytest.mark.parametrize('width', [3, 16, 50])
@pytest.mark.parametrize('references', [5, 33, 1001])
def test_a_gallery_of_one_vector_is_all_ties(width, references):
    classes = np.arange(references) % 7
    for vector in torch.randn(20, 1, width):
        for queries in (1, 5):
            found = retrieval_scores(
                vector.repeat(queries, 1),
                np.zeros(queries, int),
                vector.repeat(references, 1),
                classes,
                topk=(1,),
            )
            assert found.pessimistic['Recall@1'] == 0
            assert set(found.optimistic.values()) == {1.0}


def test_labels_that_float32_cannot_tell_apart():
    embeddings = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    labels = np.array([2**24, 2**24 + 1, 2**24, 2**24 + 1])  # P@1 is 0: each neighbour differs
    assert retrieval_scores(embeddings, labels, topk=(1,)).optimistic['P@1'] == 0
    # pytorch-metric-learning reads both as 2^24; if this ever fails, they have mended it.
    assert metric_learning(embeddings, labels)['P@1'] > 0


def test_the_specified_vector():
    # R = 3, and of the first three found the first and the third are right
    scores = scores_of_ranks(np.array([[0, 2, 5]]), np.array([3]))
    assert scores['MAP@R'] == pytest.approx(5 / 9, abs=1e-12)
    assert scores['R-precision'] == pytest.approx(2 / 3, abs=1e-12)


def test_self_is_left_out_by_index_and_not_an_equal_image():
    embeddings = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8]], np.float32)
    scores = retrieval_scores(embeddings, np.array([0, 0, 1, 1]), topk=(1,))
    assert scores.pessimistic['Recall@1'] == scores.optimistic['Recall@1'] == 1
    scores = retrieval_scores(embeddings, np.array([0, 1, 0, 1]), topk=(1,))
    assert scores.optimistic['Recall@1'] == 0


def test_queries_without_a_positive_are_counted_and_k_may_exceed_the_gallery():
    embeddings, labels = unit_vectors(5, 1)
    labels = np.array([3, 3, 4, 5, 5])
    scores = retrieval_scores(embeddings, labels, topk=(10,))
    assert (scores.queries, scores.without_positives) == (4, 1)
    assert scores.pessimistic['Recall@10'] == 1
    with pytest.raises(ValueError, match='none of the 5 queries has a reference of its label'):
        retrieval_scores(embeddings, np.arange(5))
    with pytest.raises(ValueError, match='none of the 5 queries'):
        retrieval_scores(embeddings, labels, embeddings, labels + 10)


@pytest.mark.parametrize('convert', [torch.from_numpy, np.asarray, lambda x: x.tolist()])
def test_what_kind_of_array_does_not_matter(convert):
    embeddings, labels = unit_vectors(50, 10)
    expected = retrieval_scores(embeddings, labels)
    recalls = [f'Recall@{k}' for k in (1, 10, 100, 1000)]
    assert [*expected.pessimistic] == [*recalls, 'P@1', 'MAP@R', 'R-precision', 'mAP']
    if not isinstance(convert(labels), list):
        embeddings = convert(embeddings)
    assert retrieval_scores(embeddings, convert(labels)) == expected
    assert retrieval_scores(3 * embeddings, labels).pessimistic == pytest.approx(
        expected.pessimistic
    )


def test_half_precision_autocast_and_reduced_products_change_nothing():
    embeddings, labels = unit_vectors(300, 40)
    expected = retrieval_scores(embeddings, labels)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('medium')
    try:
        with torch.autocast('cpu', torch.bfloat16):
            assert retrieval_scores(torch.from_numpy(embeddings), labels) == expected
        assert torch.get_float32_matmul_precision() == 'medium'
    finally:
        torch.set_float32_matmul_precision(before)
    half = torch.from_numpy(embeddings).half()
    assert retrieval_scores(half, labels) == retrieval_scores(half.float(), labels)


def test_messages():
    e, y = unit_vectors(6, 2)
    with pytest.raises(ValueError, match=r"metrics must be some of .*got \('recall',\)"):
        retrieval_scores(e, y, metrics=('recall',))
    with pytest.raises(
        ValueError, match=r'topk must be one K or more, each at least 1, got \(0,\)'
    ):
        retrieval_scores(e, y, topk=(0,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('classes', [400, 5])
def test_a_gpu_counts_the_same(classes):
    embeddings, labels = whole_numbers(3000, classes, dims=16)
    for gallery in ((None, None), whole_numbers(500, classes, seed=1, dims=16)):
        data = (embeddings, labels, *gallery)
        expected = retrieval_scores(*data, similarity='dot')
        assert retrieval_scores(*data, similarity='dot', device='cuda') == expected


MEASURE = """
import numpy as np, torch
from vit_plugins.evaluation.functional.retrieval_scores import retrieval_scores

def memory(name):
    return int(open('/proc/self/status').read().split(name)[1].split()[0]) / 1e6

n = 20_000
labels = np.arange(n) % {classes}
embeddings = torch.randn(n, 128)
gallery = (embeddings, labels) if {gallery} else (None, None)
retrieval_scores(embeddings[:200], labels[:200] % 50)
open('/proc/self/clear_refs', 'w').write('5')  # forget the peak so far
before = memory('VmRSS:')
retrieval_scores(embeddings, labels, *gallery)
print(memory('VmHWM:') - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.access('/proc/self/clear_refs', os.W_OK), reason='needs Linux')
@pytest.mark.parametrize(('classes', 'gallery'), [(4000, False), (20, False), (4000, True)])
def test_memory_stays_far_below_that_of_all_similarities(classes, gallery):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, '-c', MEASURE.format(classes=classes, gallery=gallery)],
        env={**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 0.3  # GB; all similarities alone take 1.6
