import numpy as np
import pytest
import torch

from vit_plugins.studies.frozen.projection import (
    LabelledVectors,
    Training,
    pca_layer,
    train_projection,
)
from vit_plugins.studies.frozen.scores import (
    choose,
    colour_histogram,
    fit_linear,
    fit_nearest_mean,
    fit_trees,
    search_scores,
)


@pytest.fixture
def data():
    """Return 12 classes of 8, separate in four of twelve dimensions; the others vary more."""
    gen = torch.Generator().manual_seed(0)
    labels = torch.arange(12).repeat_interleave(8)
    vectors = 3 * torch.randn(96, 12, generator=gen)
    vectors[:, :4] = torch.randn(12, 4, generator=gen)[labels]
    vectors[:, :4] += 0.3 * torch.randn(96, 4, generator=gen)
    return LabelledVectors(vectors, labels)


def test_search_by_brute_force(data):
    unit = data.vectors / data.vectors.norm(dim=1, keepdim=True)
    similarity = (unit @ unit.T).fill_diagonal_(-2)
    right = (data.labels[similarity.argmax(1)] == data.labels).double() * 100
    found = search_scores(data.vectors, data.labels)
    assert found['Recall@1'] == pytest.approx(right.mean().item())
    assert found['by_class'] == pytest.approx(right.view(12, 8).mean(1).tolist())
    nearest = (unit - unit[similarity.argmax(1)]).norm(dim=1).mean()
    assert found['nearest'] == pytest.approx(nearest.item(), rel=1e-5)


def training(**changes):
    settings = {'dims': 6, 'margin': 0.5, 'koleo': 0, 'rate': 0.03, 'steps': 60}
    settings |= {'batch_size': 16, 'samples_per_class': 2, 'weight_decay': 0.0, 'memory': 96}
    return Training(**(settings | changes))


def test_projection_starts_as_pca_and_learns_to_tell_classes(data):
    start = train_projection(data, training(steps=0), seed=0)
    plain = pca_layer(data.vectors, 6)
    assert torch.equal(start.weight, plain.weight)
    centred = data.vectors - data.vectors.mean(0)
    largest = torch.linalg.svd(centred.double())[2][:6].float()
    torch.testing.assert_close(plain.weight.abs(), largest.abs(), atol=1e-4, rtol=0)
    trained = train_projection(data, training(), seed=0)
    before, after = (
        search_scores(layer(data.vectors), data.labels)['Recall@1'] for layer in (start, trained)
    )
    assert after > before + 20
    again = train_projection(data, training(), seed=0)
    assert torch.equal(again.weight, trained.weight)
    assert not torch.equal(train_projection(data, training(), seed=1).weight, trained.weight)


def test_whitened_components_have_variance_one(data):
    whitened = pca_layer(data.vectors, 6, whiten=True)(data.vectors)
    covariance = whitened.T @ whitened / len(data)
    torch.testing.assert_close(covariance, torch.eye(6), atol=1e-4, rtol=0)


def test_koleo_spreads(data):
    plain, spread = (
        search_scores(train_projection(data, training(koleo=k), 0)(data.vectors), data.labels)
        for k in (0, 50)
    )
    assert spread['nearest'] > 1.2 * plain['nearest']


def test_colours_by_numpy():
    gen = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 5, 4), generator=gen, dtype=torch.uint8)
    found = colour_histogram(images, 4)
    for image, shares in zip(images, found, strict=True):
        points = image.flatten(1).T.numpy()
        counts = np.histogramdd(points, bins=4, range=[(0, 256)] * 3)[0]
        assert shares.tolist() == pytest.approx((counts.ravel() / 20).tolist())


def test_pooling_and_penalty_are_chosen_on_held_photos(data):
    vectors = {'noise': data.vectors[:, 4:], 'signal': data.vectors[:, :4]}
    names = [str(i) for i in range(96)]

    def fit(x, y, penalty):
        return fit_linear(x, y, 12, penalty)

    candidates = [('noise', 0.01), ('signal', 1e6), ('signal', 0.01)]
    assert choose(candidates, fit, vectors, data.labels, names) == ('signal', 0.01)


@pytest.mark.parametrize('kind', ['mean', 'trees'])
def test_classifiers_learn(data, kind):
    x, y = data.vectors[:, :4], data.labels
    predict = fit_nearest_mean(x[::2], y[::2], 12) if kind == 'mean' else fit_trees(x, y, 9, 0)
    assert (predict(x[1::2]) == y[1::2]).double().mean() > 0.7
