import numpy as np
import pytest

from vit_plugins.evaluation.functional.bootstrap import bootstrap_interval
from vit_plugins.evaluation.functional.confusion import macro_f1
from vit_plugins.evaluation.functional.label_errors import likely_label_errors
from vit_plugins.evaluation.functional.statistics import wilson_interval


def by_the_paper(probabilities, labels):
    """Compute the off-diagonal of the confident joint, sample by sample."""
    number = probabilities.shape[1]
    thresholds = {}
    for j in range(number):
        own = [row[j] for row, label in zip(probabilities, labels, strict=True) if label == j]
        if own:
            thresholds[j] = sum(own) / len(own)
    found = []
    for index, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        candidates = [j for j, t in thresholds.items() if row[j] >= t]
        if candidates and max(candidates, key=lambda j: row[j]) != label:
            other = max(candidates, key=lambda j: row[j])
            found.append((row[other] - row[label], index))
    return [index for _, index in sorted(found, key=lambda pair: -pair[0])]


@pytest.mark.parametrize('seed', range(5))
def test_label_errors_are_those_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), 60)
    labels = rng.integers(0, 3, 60)  # no sample has the last class
    expected = by_the_paper(probabilities, labels)
    assert len(expected) > 5
    assert likely_label_errors(probabilities, labels).tolist() == expected


def test_turned_labels_are_found():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    probabilities = np.full((300, 3), 0.05)
    probabilities[np.arange(300), truth] = 0.9
    labels = truth.copy()
    turned = rng.permutation(300)[:20]
    labels[turned] = (truth[turned] + 1) % 3
    assert sorted(likely_label_errors(probabilities, labels)) == sorted(turned)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r'\(N, K\) and labels \(N,\) are needed'):
        likely_label_errors(np.zeros((3, 2)), np.zeros(2, int))


def test_macro_f1_is_that_of_scikit_learn():
    metrics = pytest.importorskip('sklearn.metrics')
    rng = np.random.default_rng(0)
    labels, named = rng.integers(0, 4, (2, 100))
    confusion = metrics.confusion_matrix(labels, named)
    assert macro_f1(confusion) == pytest.approx(metrics.f1_score(labels, named, average='macro'))
    assert macro_f1(np.array([[3, 0], [0, 0]])) == 1.0  # as there: the other class is not there
    assert macro_f1(np.zeros((2, 2), int)) == 0.0


def test_no_draw_lacks_a_small_class():
    labels = np.repeat([0, 1, 2], [40, 40, 2])
    assert bootstrap_interval(labels, labels, 4, macro_f1) == (1.0, 1.0)


def test_the_bootstrap_of_an_accuracy_is_near_its_formula():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    named = np.where(rng.random(400) < 0.8, labels, 1 - labels)
    right = int((labels == named).sum())

    def accuracy(confusion):
        return np.trace(confusion) / confusion.sum()

    found = bootstrap_interval(labels, named, 2, accuracy)
    assert found == pytest.approx(wilson_interval(right, 400), abs=0.01)
    assert found == bootstrap_interval(labels, named, 2, accuracy)
