import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from vit_plugins.evaluation.functional.confusion import (
    class_scores,
    count_pairs,
    format_scores,
    label_pair,
    most_confused,
)

# of 10 cats 8 are right and 2 called dog; of 20 dogs 19; no fox is there, one dog is called so
CONFUSION = np.array([[8, 2, 0], [0, 19, 1], [0, 0, 0]])
NAMES = ('cat', 'dog', 'fox')


def test_scores_of_each_class():
    cat, dog, fox = class_scores(CONFUSION, NAMES)
    assert (cat.images, cat.right, cat.named) == (10, 8, 8)
    assert (dog.images, dog.right, dog.named) == (20, 19, 21)
    # Wilson's interval of 8 of 10, worked by hand: (8 + 1.92) / 13.84 -+ 0.2266
    assert (cat.low, cat.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (fox.images, fox.low, fox.high) == (0, 0.0, 1.0)


def test_pairs_that_are_confused_most_come_first():
    assert most_confused(CONFUSION, NAMES) == [('cat', 'dog', 2), ('dog', 'fox', 1)]
    assert most_confused(CONFUSION, NAMES, most=1) == [('cat', 'dog', 2)]


def test_text_holds_counts_shares_and_pairs():
    lines = format_scores(CONFUSION, NAMES)
    assert lines[0].startswith('accuracy 90.0 % (27 of 30 images; 95 % interval 74.4 to 96.5')
    assert lines[2].split() == ['cat', '10', '80.0', '%', '49.0', 'to', '94.3', '100.0', '%']
    assert lines[4].split() == ['fox', '0', '-', '0.0', 'to', '100.0', '0.0', '%']
    assert lines[-1] == 'named otherwise most often: cat as dog (2), dog as fox (1)'


def test_shape_must_be_that_of_the_classes():
    with pytest.raises(ValueError, match=r'2 classes need as many rows'):
        class_scores(CONFUSION, ('a', 'b'))


def test_pairs_of_samples_are_counted():
    sample = DataSample().set_gt_label(0).set_pred_label(1)
    assert label_pair(sample) == label_pair(sample.to_dict()) == (0, 1)
    assert label_pair(DataSample().set_gt_label(0)) is None
    several = dict(gt_label=torch.tensor([0, 1]), pred_label=torch.tensor([1]))
    assert label_pair(several) is None
    assert count_pairs([(0, 1), (0, 1), (1, 1)], 2).tolist() == [[0, 2], [0, 1]]
    assert count_pairs([], 2).tolist() == [[0, 0], [0, 0]]
