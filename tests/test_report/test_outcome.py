import numpy as np

from vit_plugins.report.outcome import Outcome, report


def text(**changes):
    settings = dict(
        epoch=3, unit='epoch', confusion=np.array([[30, 10], [5, 55]]), classes=('cat', 'dog')
    )
    return '\n'.join(report(Outcome(**{**settings, **changes})))


def test_a_plain_outcome_has_no_notes():
    told = text(train_counts=(200, 300), train_accuracy=90.0, last_accuracy=85.0)
    assert told.startswith('Best epoch: 3. On the validation images:\naccuracy 85.0 % (85 of 100')
    assert 'note:' not in told
    assert 'without a network' not in told


def test_baselines_are_shown_also_where_they_win():
    told = text(baselines={'largest class': 60.0, 'colour histogram': 'not computed within 60 s'})
    assert 'largest class 60.0 %, colour histogram not computed within 60 s' in told
    assert 'not better' not in told
    assert 'the network is not better than that' in text(baselines={'colour histogram': 85.0})


def test_what_makes_the_numbers_doubtful_is_noted():
    told = text(
        confusion=np.array([[3, 1], [5, 55]]),
        train_counts=(12, 300),
        train_accuracy=99.0,
        last_accuracy=70.0,
    )
    assert 'fewer than 20 training images in cat' in told
    assert 'largest class has 300 training images and the smallest 12: --balance' in told
    assert 'fewer than 10 validation images in cat' in told
    assert '99.0 % of the training images are right and 70.0 % of the others' in told
