import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from vit_plugins.evaluation.functional import probes
from vit_plugins.evaluation.functional.probes import (
    Standardizer,
    accuracy,
    knn_predict,
    logistic_fit,
    nearest_mean_predict,
    nearest_neighbors,
    ridge_fit,
)


@pytest.fixture(autouse=True, params=[4096, 37], ids=['whole', 'chunks'])
def _chunk(request, monkeypatch):
    monkeypatch.setattr(probes, 'CHUNK', request.param)


@pytest.fixture
def data():
    """Return three overlapping classes in 12 dimensions, one of which is constant."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 3
    centres = torch.randn(3, 12, generator=generator)
    features = centres[labels] + 1.2 * torch.randn(240, 12, generator=generator)
    features[:, 5] = 3.0
    return features[:150], labels[:150], features[150:], labels[150:]


@pytest.mark.parametrize('temperature', [None, 0.07, 0.5])
@pytest.mark.parametrize('k', [1, 7, 40])
def test_knn_as_scikit_learn(data, k, temperature):
    train, labels, test, _ = data
    weights = 'uniform' if temperature is None else lambda d: np.exp((1 - d) / temperature)
    oracle = KNeighborsClassifier(k, metric='cosine', algorithm='brute', weights=weights)
    expected = oracle.fit(train.double(), labels).predict(test.double())
    assert knn_predict(test, train, labels, k, temperature).tolist() == expected.tolist()


def test_neighbors_come_in_order(data):
    train, _, test, _ = data
    cosines, indices = nearest_neighbors(test, train, 5)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (test, train)]
    expected = (unit[0] @ unit[1].T).sort(1, descending=True)
    torch.testing.assert_close(cosines, expected.values[:, :5])
    assert (indices == expected.indices[:, :5]).all()
    for k in (0, 151):
        with pytest.raises(ValueError, match=f'within 1..150, the images to train on, got {k}'):
            nearest_neighbors(test, train, k)


@pytest.mark.parametrize('shots', [1, 4, 50])
def test_least_squares_as_scikit_learn(data, shots):
    train, labels, test, _ = (x[: 3 * shots] if i < 2 else x for i, x in enumerate(data))
    targets = 2.0 * torch.eye(3)[labels] - 1.0
    oracle = Ridge(alpha=0.7).fit(train.double(), targets.double())
    found = ridge_fit(train, labels, 3, penalty=0.7)
    np.testing.assert_allclose(found.weight.T, oracle.coef_, atol=1e-10)
    np.testing.assert_allclose(found.bias, oracle.intercept_, atol=1e-10)
    expected = oracle.predict(test.double()).argmax(1)
    assert found.predict(test).tolist() == expected.tolist()
    with pytest.raises(ValueError, match='positive, got 0'):
        ridge_fit(train, labels, 3, penalty=0)


@pytest.mark.parametrize('penalty', [1e-3, 0.1])
def test_logistic_regression_as_scikit_learn(data, penalty):
    train, labels, test, truth = data
    oracle = LogisticRegression(C=1 / (len(train) * penalty), tol=1e-8, max_iter=1000)
    oracle.fit(train.double(), labels)
    found = logistic_fit(train.double(), labels, 3, penalty)
    scores = test.double() @ found.weight + found.bias
    np.testing.assert_allclose(scores.softmax(1), oracle.predict_proba(test.double()), atol=1e-4)
    right = 100 * oracle.score(test.double(), truth)
    assert accuracy(found.predict(test), truth) == pytest.approx(right)


def test_standardizer_as_scikit_learn(data):
    train, _, test, _ = data
    expected = StandardScaler().fit(train.double()).transform(test.double())
    found = Standardizer.of(train)(test)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[:, 5] == 0).all()  # a constant stays finite


def test_nearest_mean_by_loops(data):
    train, labels, test, _ = data
    unit = train.numpy() / np.linalg.norm(train.numpy(), axis=1, keepdims=True)
    means = np.stack([unit[labels.numpy() == k].mean(0) for k in range(3)])
    wanted = [
        max(range(3), key=lambda k: query @ means[k] / np.linalg.norm(means[k]))
        for query in test.numpy()
    ]
    assert nearest_mean_predict(test, train, labels, 3).tolist() == wanted
