"""Ranks against their definition, by each method; for scores see test_retrieval_scores.py."""

import numpy as np
import pytest

from vit_plugins.evaluation.functional import counts_above, retrieval_ranking
from vit_plugins.evaluation.functional.retrieval_ranking import (
    UNUSED,
    _cut_between_classes,
    iterate_positive_ranks,
)

WAYS = {
    'one block': {},
    'blocks': dict(BLOCK=24),
    'rows, counted': dict(BLOCK=8, FEW=8, BLOCK_ENTRIES=400),
    'rows, sorted': dict(FEW=1, BLOCK_ENTRIES=400),
}


def whole_numbers(n, classes, seed=0):
    """Return embeddings with many ties, whose products are exact, and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, (n, 4)).astype(np.float32), rng.integers(0, classes, n)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('with_gallery', [False, True])
@pytest.mark.parametrize('best_only', [False, True])
def test_ranks_are_those_of_each_query_and_best_first(way, with_gallery, best_only, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(retrieval_ranking, name, value)
    embeddings, labels = whole_numbers(80, 9)
    gallery = whole_numbers(60, 9, seed=1) if with_gallery else ()
    references, classes = gallery or (embeddings, labels)
    similarity = (embeddings @ references.T).astype(int)
    seen = []
    data = embeddings, labels, *gallery
    for ranks in iterate_positive_ranks(*data, similarity='dot', best_only=best_only):
        for row, query in enumerate(ranks.queries):
            seen.append(query)
            # without a gallery a sample does not find itself
            others = with_gallery | (np.arange(len(references)) != query)
            right = classes == labels[query]
            negatives = similarity[query][~right]
            positives = np.sort(similarity[query][right & others])[::-1]
            assert ranks.counts[row] == len(positives)
            for k, s in enumerate(positives[: 1 if best_only else None]):
                assert ranks.optimistic[row, k] == (negatives > s).sum() + k
                assert ranks.pessimistic[row, k] == (negatives >= s).sum() + k
            assert (ranks.optimistic[row, len(positives) :] == UNUSED).all()
            assert (ranks.pessimistic[row, len(positives) :] == UNUSED).all()
    assert sorted(seen) == list(range(80))


@pytest.mark.parametrize('labels', [[], [0], [3, 1, 2]])
def test_no_query_has_a_positive(labels):
    embeddings = np.ones((len(labels), 4), np.float32)
    assert list(iterate_positive_ranks(embeddings, np.array(labels, int))) == []
    other = np.array(labels, int) + 10
    assert list(iterate_positive_ranks(embeddings, np.array(labels, int), embeddings, other)) == []


@pytest.mark.parametrize('share', [0, 1 / 160, 1])  # count all, as usual, collect all
def test_early_ranks_are_exact_and_the_others_late(share, monkeypatch):
    monkeypatch.setattr(counts_above, 'FEW_ABOVE', share)
    monkeypatch.setattr(retrieval_ranking, 'BLOCK', 24)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 200)
    centres = rng.integers(-4, 5, (40, 6))
    embeddings = (centres[labels] + rng.integers(-1, 2, (200, 6))).astype(np.float32)
    (all_ranks,) = iterate_positive_ranks(embeddings, labels, similarity='dot')
    (found,) = iterate_positive_ranks(embeddings, labels, similarity='dot', early_only=True)
    most = found.counts[:, None]
    asked_for = all_ranks.optimistic < most
    asked_for[:, 0] = True
    assert 0.2 < asked_for.mean() < 0.8
    for kind in ('optimistic', 'pessimistic'):
        expected, early = getattr(all_ranks, kind), getattr(found, kind)
        assert np.array_equal(early[asked_for], expected[asked_for])
        assert ((early >= most) | asked_for).all()
        assert np.array_equal(early == UNUSED, expected == UNUSED)


def test_blocks_split_no_class():
    starts = np.array([0, 1, 2, 4, 7, 12])
    assert _cut_between_classes(starts, 5).tolist() == [0, 4, 7, 12]
    assert _cut_between_classes(starts, 100).tolist() == [0, 12]


def test_messages():
    e, y = whole_numbers(6, 2)

    def ranks(*args, **kwargs):
        return list(iterate_positive_ranks(*args, **kwargs))

    with pytest.raises(ValueError, match=r'embeddings must have the shape \(n, D\), got \(6,\)'):
        ranks(e[:, 0], y)
    with pytest.raises(ValueError, match='labels must be 6 integers, one for each embedding, got'):
        ranks(e, y[:5])
    with pytest.raises(ValueError, match=r'gallery_labels must be 6 integers.*got float64'):
        ranks(e, y, e, y.astype(float))
    with pytest.raises(ValueError, match='gallery and gallery_labels go together'):
        ranks(e, y, e)
    with pytest.raises(ValueError, match=r'shape \(6, 4\) cannot be compared with.*\(6, 3\)'):
        ranks(e, y, e[:, 1:], y)
    with pytest.raises(ValueError, match=r"similarity must be one of .*got 'l2'"):
        ranks(e, y, similarity='l2')
    e[2, 3] = np.nan
    with pytest.raises(ValueError, match=r'1 of 6 embeddings hold NaN or infinity.*diverged'):
        ranks(e, y)
