"""Linear layers over frozen features, against scikit-learn, and the choice of their setting."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vit_plugins.evaluation.functional.frozen_classifiers import (
    CLASSIFIERS,
    MANY,
    assign_folds,
    choose_setting,
    fit_linear,
    fit_nearest_mean,
)
from vit_plugins.evaluation.functional.probes import nearest_mean_predict


@pytest.fixture
def data():
    """Return three overlapping clusters, with scales that differ by dimension."""
    labels = torch.arange(90) % 3
    centres = torch.randn(3, 5)
    features = (centres[labels] + torch.randn(90, 5)) * torch.tensor([1.0, 10, 0.1, 1, 100]) + 3
    return features, labels


def test_linear_scores_are_those_of_scikit_learn(data):
    features, labels = data
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    penalty = 0.05
    scaler = StandardScaler().fit(features.double().numpy())
    # its C weighs the sum of the losses
    theirs = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-8, max_iter=1000)
    theirs.fit(scaler.transform(features.double().numpy()), labels.numpy())
    expected = theirs.predict_log_proba(scaler.transform(features.double().numpy()))
    found = fit_linear(features, labels, 3, penalty).scores(features).log_softmax(1)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_the_weight_of_a_class_is_as_good_as_copies_of_its_samples(data):
    features, labels = data
    mean, deviation = features.mean(0), features.std(0, unbiased=False)
    features = (features - mean) / deviation
    copies = torch.cat([features, features[labels == 2]])
    more = torch.cat([labels, labels[labels == 2]])
    # standardised before, so that copies do not change the scale by much: compared unscaled
    from vit_plugins.evaluation.functional.probes import logistic_fit

    weighted = logistic_fit(features, labels, 3, 0.1, class_weight=torch.tensor([1.0, 1.0, 2.0]))
    copied = logistic_fit(copies, more, 3, 0.1)
    torch.testing.assert_close(weighted.weight, copied.weight, atol=1e-3, rtol=1e-3)


def test_nearest_mean_is_that_by_cosine(data):
    features, labels = data
    fitted = fit_nearest_mean(features, labels, 3, sharpness=20)
    expected = nearest_mean_predict(features, features, labels, 3)
    assert torch.equal(fitted.predict(features), expected)
    assert not fitted.bias.any()


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_the_setting_with_the_lowest_loss_is_chosen(data, name):
    features, labels = data
    fit, _ = CLASSIFIERS[name]
    folds = torch.arange(90) // 30
    settings = [0.3, 3.0, 30.0]
    losses = {}
    for setting in settings:  # one sample at a time
        lost = []
        for fold in range(3):
            fitted = fit(features[folds != fold], labels[folds != fold], 3, setting)
            for x, y in zip(features[folds == fold], labels[folds == fold], strict=True):
                lost.append(-(x @ fitted.weight + fitted.bias).log_softmax(0)[y])
        losses[setting] = torch.stack(lost).mean().item()
    chosen = choose_setting(fit, settings, features, labels, 3, folds)
    assert chosen.losses == pytest.approx({k: losses[k] for k in chosen.losses}, rel=1e-3)
    assert chosen.setting == min(losses, key=losses.get)


def test_the_search_ends_where_the_loss_rises(data):
    tried = []

    def fit(features, labels, number, setting):
        tried.append(setting)
        return fit_linear(features, labels, number, setting)

    folds = torch.arange(90) % 2
    losses = choose_setting(fit, [1.0, 1e3, 1e4, 1e5], *data, 3, folds).losses
    assert list(losses) == [1.0, 1e3, 1e4]
    assert set(tried) == {1.0, 1e3, 1e4}
    with pytest.raises(ValueError, match='No feature can be held out'):
        choose_setting(fit, [1.0], *data, 3, torch.full((90,), -1))


def test_folds_share_classes_evenly():
    labels = torch.tensor([0] * 20 + [1] * 10)
    folds = assign_folds(labels)
    for label in (0, 1):
        assert folds[labels == label].bincount().tolist() == [(20, 10)[label] // 5] * 5
    assert torch.equal(folds, assign_folds(labels))
    assert not torch.equal(folds, assign_folds(labels, seed=1))


def test_folds_keep_groups_and_never_hold_a_class_out_whole():
    labels = torch.tensor([0] * 12 + [1] * 6 + [2])
    groups = [f'a{i // 3}' for i in range(12)] + ['b'] * 6 + ['c']
    folds = assign_folds(labels, groups)
    for group in set(groups):
        assert len({int(f) for f, g in zip(folds, groups, strict=True) if g == group}) == 1
    assert folds[labels > 0].tolist() == [-1] * 7  # of one group each
    assert sorted(folds[labels == 0].unique().tolist()) == list(range(4))


def test_of_many_features_one_fold_is_held_out():
    folds = assign_folds(torch.arange(MANY + 10) % 2)
    assert folds.unique().tolist() == [-1, 0]
    assert (folds == 0).sum() == pytest.approx((MANY + 10) / 5, abs=1)


def test_features_of_equal_value_are_no_trouble():
    features = torch.cat([torch.ones(20, 1), torch.randn(20, 2)], 1)
    scores = fit_linear(features, torch.arange(20) % 2, 2, 0.1).scores(features)
    assert F.softmax(scores, 1).isfinite().all()
