import pytest
import torch
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample
from sklearn.metrics import f1_score


def evaluate(targets, predictions, classes=None, **kwargs):
    metric = METRICS.build({'type': 'ClassF1', **kwargs})
    metric.dataset_meta = {'classes': classes} if classes else None
    scores = torch.nn.functional.one_hot(torch.tensor(predictions), 3).float()
    samples = [
        DataSample().set_gt_label(t).set_pred_score(s).to_dict()
        for t, s in zip(targets, scores, strict=True)
    ]
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_each_class_by_name_as_scikit_learn_has_it():
    targets = torch.randint(3, (50,)).tolist()
    predictions = torch.randint(3, (50,)).tolist()
    found = evaluate(targets, predictions, ('cat', 'dog', 'owl'))
    expected = 100 * f1_score(targets, predictions, average=None)
    assert list(found) == ['f1/cat', 'f1/dog', 'f1/owl', 'f1/mean']
    assert list(found.values()) == pytest.approx([*expected, expected.mean()], rel=1e-5)


def test_an_absent_class_counts_zero():
    assert evaluate([0, 1], [0, 1])['f1/2'] == 0


def test_many_classes_give_the_mean_only():
    assert list(evaluate([0, 1, 2], [0, 1, 2], max_classes=2)) == ['f1/mean']
    assert repr(METRICS.build({'type': 'ClassF1'})) == 'ClassF1(max_classes=50)'
