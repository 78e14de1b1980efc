"""Retrieval metrics of embeddings on a GPU are those of the CPU."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from vit_plugins.benchmarks.comparison import relative_difference
from vit_plugins.evaluation.functional.embedding_statistics import (
    covariance_spectrum,
    nearest_distances,
)
from vit_plugins.evaluation.functional.offset_errors import mean_by_offset
from vit_plugins.evaluation.functional.retrieval_scores import RETRIEVAL_METRICS, retrieval_scores
from vit_plugins.evaluation.functional.revisited_protocol import revisited_scores

pytestmark = pytest.mark.gpu


@pytest.fixture
def whole_numbers():
    """Vectors whose products are exact, with many ties, and their labels."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randint(-2, 3, (700, 16), generator=generator).float()
    return vectors, torch.randint(90, (700,), generator=generator)


@pytest.mark.parametrize('similarity', ['dot', 'cosine'])
def test_all_scores_by_label(similarity, whole_numbers, device):
    vectors, labels = whole_numbers
    settings = dict(metrics=RETRIEVAL_METRICS, similarity=similarity)
    expected = retrieval_scores(vectors, labels, **settings)
    found = retrieval_scores(vectors, labels, device=device, **settings)
    there = retrieval_scores(vectors.to(device), labels.to(device), **settings)
    # products of whole numbers have no rounding; cosines that are almost equal change places
    tolerance = 0 if similarity == 'dot' else 2e-3
    for scores in (found, there):
        assert scores.pessimistic == pytest.approx(expected.pessimistic, abs=tolerance)
        assert scores.optimistic == pytest.approx(expected.optimistic, abs=tolerance)


def test_queries_and_gallery(whole_numbers, device):
    vectors, labels = whole_numbers
    parts = (vectors[:200], labels[:200], vectors[200:], labels[200:])
    expected = retrieval_scores(*parts, similarity='dot')
    found = retrieval_scores(*parts, similarity='dot', device=device)
    assert found.pessimistic == expected.pessimistic
    assert found.optimistic == expected.optimistic


def test_revisited_protocol(whole_numbers, device):
    vectors, _ = whole_numbers
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(600), (20, 1)), axis=1)
    gnd = [dict(easy=row[:5], hard=row[5:9], junk=row[9:12]) for row in lists]
    parts = (vectors[:20], vectors[20:620], gnd)
    expected = revisited_scores(*parts, similarity='dot')
    assert revisited_scores(*parts, similarity='dot', device=device) == expected


def test_registered_metrics_use_the_device(whole_numbers, device):
    vectors, labels = whole_numbers
    results = {}
    for where in ('cpu', str(device)):
        metric = METRICS.build(dict(type='RetrievalMetric', device=where, similarity='dot'))
        metric.process(
            None,
            [
                dict(embedding=v, gt_label=y.view(1), sample_idx=i)
                for i, (v, y) in enumerate(zip(vectors, labels, strict=True))
            ],
        )
        results[where] = metric.evaluate(len(vectors))
    assert results[str(device)] == results['cpu']


@pytest.mark.parametrize('function', [covariance_spectrum, nearest_distances])
def test_statistics_of_embeddings(function, whole_numbers, device):
    vectors, _ = whole_numbers
    assert relative_difference(function(vectors.to(device)), function(vectors)) < 1e-5


def test_mean_by_offset(device):
    predicted, true = torch.randn(40, 2), torch.randint(-1, 2, (40, 2))
    found = mean_by_offset(predicted.to(device), true.to(device))
    for a, b in zip(found, mean_by_offset(predicted, true), strict=True):
        assert a.device.type == device.type
        torch.testing.assert_close(a.cpu(), b)
