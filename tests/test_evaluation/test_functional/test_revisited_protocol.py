"""The protocol against the specified vectors and a second implementation in loops."""

import numpy as np
import pytest
import torch

from vit_plugins.evaluation.functional import revisited_protocol
from vit_plugins.evaluation.functional.revisited_protocol import (
    average_precision,
    precision_at,
    ranks_among,
    revisited_scores,
)

# Best first; what revisitop computes for them is in the tests.
FIRST = [3, 0, 5, 1, 7, 2, 4, 6]
SECOND = [6, 1, 0, 2, 3, 4, 5, 7]
GND = [dict(easy=[0], hard=[7, 2], junk=[5]), dict(easy=[6, 1], hard=[], junk=[0])]


def as_vectors(rankings):
    """Return embeddings whose similarities rank the images in these orders."""
    similarity = np.zeros((len(rankings), len(rankings[0])), np.float32)
    for row, ranking in zip(similarity, rankings, strict=True):
        row[ranking] = -np.arange(len(ranking))
    return similarity, np.eye(similarity.shape[1], dtype=np.float32)


def test_the_specified_vector_of_one_query():
    scores = revisited_scores(*as_vectors([FIRST]), GND[:1], similarity='dot')
    assert scores == pytest.approx(
        {
            'easy/mAP': 0.25, 'easy/mP@1': 0, 'easy/mP@5': 0.5, 'easy/mP@10': 0.5,
            'medium/mAP': 0.405555556, 'medium/mP@1': 0, 'medium/mP@5': 0.6, 'medium/mP@10': 0.6,
            'hard/mAP': 0.291666667, 'hard/mP@1': 0, 'hard/mP@5': 0.5, 'hard/mP@10': 0.5,
        },
        abs=1e-9,
    )  # fmt: skip


def test_the_specified_vector_of_two_queries():
    """The second query has no hard image, so the hard protocol leaves it out."""
    scores = revisited_scores(*as_vectors([FIRST, SECOND]), GND, similarity='dot')
    assert scores == pytest.approx(
        {
            'easy/mAP': 0.625, 'easy/mP@1': 0.5, 'easy/mP@5': 0.75, 'easy/mP@10': 0.75,
            'medium/mAP': 0.702777778, 'medium/mP@1': 0.5, 'medium/mP@5': 0.8, 'medium/mP@10': 0.8,
            'hard/mAP': 0.291666667, 'hard/mP@1': 0, 'hard/mP@5': 0.5, 'hard/mP@10': 0.5,
        },
        abs=1e-9,
    )  # fmt: skip


def test_perfect_single_and_truncated_rankings():
    assert average_precision(np.arange(7), 7) == 1
    assert average_precision(np.array([4]), 1) == pytest.approx(0.1, abs=1e-12)
    assert average_precision(np.array([0]), 2) == 0.5  # the second was not returned
    assert average_precision(np.array([], int), 3) == 0
    assert precision_at(np.array([], int), 5) == 0


def slow_protocol(similarity, positives, junk, topk):
    """Compute the protocol along the ranking, as the specification describes it."""
    ranking = [j for j in np.argsort(-similarity, kind='stable') if j not in junk]
    ap, hits, ranks = 0.0, 0, []
    for r, image in enumerate(ranking):
        if image in positives:
            ap += (1.0 if r == 0 else hits / r) + (hits + 1) / (r + 1)
            hits += 1
            ranks.append(r + 1)
    precisions = []
    for k in topk:
        kq = min(max(ranks), k)
        precisions.append(sum(r <= kq for r in ranks) / kq)
    return [ap / (2 * len(positives)), *precisions]


@pytest.mark.parametrize('entries', [1 << 24, 100])
def test_random_cases_equal_slow_loops(entries, monkeypatch):
    monkeypatch.setattr(revisited_protocol, 'BLOCK_ENTRIES', entries)
    rng = np.random.default_rng(0)
    queries, images = rng.standard_normal((12, 8)), rng.standard_normal((50, 8))
    gnd = []
    for _ in queries:
        order = rng.permutation(50)
        e, h, j = rng.integers(0, 6, 3)
        gnd.append(dict(easy=order[:e], hard=order[e : e + h], junk=order[e + h : e + h + j]))
    scores = revisited_scores(torch.from_numpy(queries), torch.from_numpy(images), gnd, (1, 5, 10))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, images)]
    for name, ok, out in (
        ('easy', ['easy'], ['hard', 'junk']),
        ('medium', ['easy', 'hard'], ['junk']),
        ('hard', ['hard'], ['easy', 'junk']),
    ):
        rows = []
        for similarity, entry in zip(unit[0] @ unit[1].T, gnd, strict=True):
            lists = [{int(i) for key in keys for i in entry[key]} for keys in (ok, out)]
            if lists[0]:
                rows.append(slow_protocol(similarity, *lists, (1, 5, 10)))
        found = [scores[f'{name}/{what}'] for what in ('mAP', 'mP@1', 'mP@5', 'mP@10')]
        assert found == pytest.approx(np.mean(rows, axis=0), abs=1e-9)


def test_ties_are_decided_as_asked():
    similarity = np.array([1, 1, 1, 0.5, 0.5])
    positives, junk = np.array([1, 4]), np.array([0])
    assert ranks_among(similarity, positives, junk, optimistic=True).tolist() == [0, 2]
    assert ranks_among(similarity, positives, junk).tolist() == [1, 3]


def test_messages():
    vectors = as_vectors([FIRST])
    with pytest.raises(ValueError, match='1 queries, but gnd is about 2'):
        revisited_scores(*vectors, GND)
    with pytest.raises(ValueError, match="'hard' of query 0 names image 8, there are 8"):
        revisited_scores(*vectors, [dict(easy=[0], hard=[8], junk=[])])
    with pytest.raises(ValueError, match=r"one of \('cosine', 'dot'\), got 'euclidean'"):
        revisited_scores(*vectors, GND[:1], similarity='euclidean')
