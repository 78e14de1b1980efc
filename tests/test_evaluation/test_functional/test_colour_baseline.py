"""Trees on colour histograms: equal to those of scikit-learn, and within a time limit."""

import time

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from vit_plugins.evaluation.functional import colour_baseline
from vit_plugins.evaluation.functional.colour_baseline import colour_accuracy


@pytest.fixture
def halves(monkeypatch):
    monkeypatch.setattr(colour_baseline, 'TREES', 40)
    monkeypatch.setattr(colour_baseline, 'AT_ONCE', 10)
    rows = np.random.default_rng(0).random((200, 8)).astype(np.float32)
    labels = (3 * rows[:, 0] + rows[:, 1]).astype(int)
    return rows[:100], labels[:100], rows[100:], labels[100:]


def test_trees_that_are_grown_in_steps_are_those_grown_at_once(halves):
    train, labels, test, truth = halves
    forest = ExtraTreesClassifier(n_estimators=40, random_state=0).fit(train, labels)
    assert colour_accuracy(*halves) == np.mean(forest.predict(test) == truth)


def test_no_accuracy_after_the_deadline(halves):
    assert colour_accuracy(*halves, deadline=time.monotonic()) is None
