"""Projections against scikit-learn and the steps of cirtorch, and their invariants."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from vit_plugins.evaluation.functional.pca import fit_pca, fit_supervised_whitening, label_pairs


def features(n=400, dims=12):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(dims, dims, generator=generator, dtype=torch.float64)
    return (torch.randn(n, dims, generator=generator, dtype=torch.float64) @ mix + 3).float()


def project(x, fit):
    mean, projection = fit
    return (x.double() - mean) @ projection.T


@pytest.mark.parametrize('dims', [1, 5, 12])
@pytest.mark.parametrize('whiten', [False, True])
def test_equal_to_scikit_learn(dims, whiten):
    x = features()
    theirs = PCA(dims, whiten=whiten, svd_solver='full').fit(x.double().numpy())
    expected = theirs.transform(x.double().numpy())
    if whiten:  # it divides by N - 1
        expected *= np.sqrt(len(x) / (len(x) - 1))
    found = project(x, fit_pca(x, dims, whiten)).numpy()
    signs = np.sign((expected * found).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-8)


def test_all_components_keep_distances():
    x = features()
    y = project(x, fit_pca(x, 12))
    torch.testing.assert_close(
        torch.cdist(y, y), torch.cdist(x.double(), x.double()), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize('dims', [4, 12])
def test_whitened_covariance_is_the_identity(dims):
    x = features()
    y = project(x, fit_pca(x, dims, whiten=True))
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(dims).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(y.T @ y / len(y), torch.eye(dims).double(), atol=1e-9, rtol=0)


def test_signs_do_not_depend_on_the_order_of_the_images():
    x = features()
    first, second = fit_pca(x, 6)[1], fit_pca(x.flip(0), 6)[1]
    torch.testing.assert_close(first, second)
    assert (first.gather(1, first.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_supervised_whitening_is_that_of_the_paper():
    x = features()
    pairs = np.random.default_rng(0).integers(0, len(x), (300, 2))
    # The steps with columns as samples, by numpy alone.
    columns = x.double().numpy().T
    q, p = columns[:, pairs[:, 0]], columns[:, pairs[:, 1]]
    mean = q.mean(axis=1, keepdims=True)
    p0 = np.linalg.inv(np.linalg.cholesky((q - p) @ (q - p).T / 300))
    turned = p0 @ (columns - mean)
    vectors = np.linalg.eigh(turned @ turned.T)[1]
    expected = (vectors[:, ::-1][:, :5].T @ turned).T
    found = project(x, fit_supervised_whitening(x, pairs, 5)).numpy()
    signs = np.sign((expected * found).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-8)
    # Differences within pairs have become white.
    y = project(x, fit_supervised_whitening(x, pairs, 12))
    d = y[pairs[:, 0]] - y[pairs[:, 1]]
    torch.testing.assert_close(d.T @ d / 300, torch.eye(12).double(), atol=1e-9, rtol=0)


def test_pairs_of_labels():
    assert label_pairs(np.array([1, 2, 1, 3, 1, 2])).tolist() == [[0, 2], [2, 4], [1, 5]]
    assert label_pairs(np.array([4, 5])).shape == (0, 2)


def test_messages():
    x = features()
    for bad, dims in ((x, 13), (x, 0), (x[:1], 2), (x[:, 0], 1)):
        with pytest.raises(ValueError, match=r'have no \d+ components: out_dims must'):
            fit_pca(bad, dims)
    with pytest.raises(ValueError, match=r'10 features vary in 9 dimensions only.*scale to 12'):
        fit_pca(x[:10], 12, whiten=True)
    with pytest.raises(
        ValueError, match=r'pairs must have the shape \(n, 2\), n > 0, got \(0, 2\)'
    ):
        fit_supervised_whitening(x, np.zeros((0, 2), int), 3)
    for few in ([[0, 1]] * 5, [[3, 3]]):
        with pytest.raises(ValueError, match='pairs do not span the 12 dimensions'):
            fit_supervised_whitening(x, np.array(few), 3)
    x[3, 4] = np.inf
    with pytest.raises(ValueError, match='features hold NaN or infinity'):
        fit_pca(x, 3)
