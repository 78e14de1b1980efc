import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from vit_plugins.evaluation.functional import embedding_statistics
from vit_plugins.evaluation.functional.embedding_statistics import (
    components_for,
    covariance_spectrum,
    cumulative_energy,
    effective_rank,
    nearest_distances,
    similarity_histogram,
)


@pytest.mark.parametrize('n', [20, 300])
def test_spectrum_is_that_of_numpy_from_either_side(n):
    x = torch.randn(n, 40) * torch.linspace(0.1, 3, 40) + 5
    expected = np.linalg.eigvalsh(np.cov(x.double().numpy(), rowvar=False, bias=True))[::-1]
    found = covariance_spectrum(x)
    assert found.shape == (min(n, 40),)
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-9)


def test_spectrum_in_parts_is_the_same(monkeypatch):
    x = torch.randn(100, 7)
    expected = covariance_spectrum(x)
    monkeypatch.setattr(embedding_statistics, 'CHUNK', 9)
    torch.testing.assert_close(covariance_spectrum(x), expected)


def test_effective_rank_of_known_spectra():
    assert effective_rank(torch.eye(5)) == pytest.approx(4)
    line = torch.linspace(-1, 1, 50)[:, None] * torch.ones(1, 8)
    assert effective_rank(line) == pytest.approx(1)
    assert effective_rank(torch.ones(50, 8)) == 0
    # standard deviations 1 and 2: eigenvalues 1 and 4, shares .2 and .8
    corners = torch.tensor([[1.0, 2], [1, -2], [-1, 2], [-1, -2]])
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    assert effective_rank(corners) == pytest.approx(np.exp(entropy))
    assert cumulative_energy(corners).tolist() == pytest.approx([0.8, 1])
    assert cumulative_energy(torch.ones(9, 3)).tolist() == [1, 1, 1]


def test_effective_rank_takes_what_a_head_has():
    features = torch.randn(64, 384, dtype=torch.bfloat16, requires_grad=True)
    assert 30 < effective_rank(features) <= 63


def test_components_for_shares():
    energy = torch.tensor([0.5, 0.8, 0.95, 1.0])
    assert components_for(energy) == [1, 3, 4]
    assert components_for(energy, (0.0, 0.51, 1.0)) == [1, 2, 4]
    assert components_for(torch.tensor([0.9, 1 - 1e-9]), (1.0,)) == [2]


@pytest.mark.parametrize('entries', [1 << 24, 60])
def test_nearest_distances_are_those_of_all_pairs(entries, monkeypatch):
    monkeypatch.setattr(embedding_statistics, 'BLOCK_ENTRIES', entries)
    x = torch.randn(30, 5)
    x[7] = x[20] + 1e-4  # dot products in float32 would not tell how far
    all_pairs = torch.cdist(x.double(), x.double(), compute_mode='donot_use_mm_for_euclid_dist')
    expected = all_pairs.fill_diagonal_(torch.inf).amin(dim=1)
    torch.testing.assert_close(nearest_distances(x).double(), expected, rtol=1e-3, atol=0)
    assert nearest_distances(torch.ones(2, 3)).tolist() == [0, 0]
    with pytest.raises(ValueError, match='1 embedding has no neighbour'):
        nearest_distances(x[:1])


@pytest.mark.parametrize('entries', [1 << 24, 200])
@pytest.mark.parametrize('with_gallery', [False, True])
def test_histogram_counts_each_pair(entries, with_gallery, monkeypatch):
    monkeypatch.setattr(embedding_statistics, 'BLOCK_ENTRIES', entries)
    x, y = torch.randn(60, 4), torch.randint(0, 5, (60,))
    gallery = (torch.randn(70, 4), torch.randint(0, 5, (70,)))
    found = similarity_histogram(x, y, *(gallery if with_gallery else ()), bins=20)
    others, labels = gallery if with_gallery else (x, y)
    s = (normalize(x, dim=1) @ normalize(others, dim=1).T).double().numpy()
    same = y.numpy()[:, None] == labels.numpy()
    counted = np.ones_like(same) if with_gallery else ~np.eye(60, dtype=bool)
    for mask, counts in ((same, found.positives), (~same, found.negatives)):
        np.testing.assert_array_equal(counts, np.histogram(s[mask & counted], found.edges)[0])
    assert found.positives.sum() + found.negatives.sum() == counted.sum()


def test_histogram_has_room_for_equal_vectors():
    x = torch.randn(1, 100).repeat(10, 1)  # cosines of 1, give or take a rounding
    found = similarity_histogram(x, np.zeros(10, int), bins=4)
    assert found.positives.tolist() == [0, 0, 0, 90]
