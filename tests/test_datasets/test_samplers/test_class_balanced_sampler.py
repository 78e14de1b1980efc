import numpy as np
import pytest
from mmpretrain.registry import DATA_SAMPLERS

from vit_plugins.datasets.samplers import class_balanced_sampler
from vit_plugins.datasets.samplers.class_balanced_sampler import sample_weights


class Labelled:
    def __init__(self, *counts: int) -> None:
        self.labels = np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> np.ndarray:
        return self.labels


def build(dataset, **kwargs):
    cfg = {'type': 'ClassBalancedSampler', 'dataset': dataset, 'seed': 0, **kwargs}
    return DATA_SAMPLERS.build(cfg)


@pytest.mark.parametrize(
    ('power', 'shares'), [(0, [0.9, 0.1]), (0.5, [0.75, 0.25]), (1, [0.5, 0.5])]
)
def test_class_shares(power, shares):
    labels = [0] * 90 + [1] * 10
    weights = sample_weights(labels, power)
    assert weights[:90].sum() == pytest.approx(shares[0])
    assert weights[90:].sum() == pytest.approx(shares[1])


def test_classes_are_drawn_equally_often():
    dataset = Labelled(9000, 900, 100)
    drawn = dataset.labels[list(build(dataset))]
    assert len(drawn) == 10000
    # 5 standard deviations of a count with p = 1/3
    assert np.abs(np.bincount(drawn) - 10000 / 3).max() < 5 * (10000 * 2 / 9) ** 0.5


def test_epochs_differ_and_repeat():
    sampler = build(Labelled(50, 5))
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_ranks_share_one_sequence(monkeypatch):
    dataset = Labelled(50, 6)
    alone = list(build(dataset))
    shares = []
    for rank in range(2):
        # DefaultSampler asks here
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        shares.append(list(build(dataset)))
    assert [len(s) for s in shares] == [28, 28]
    together = [i for pair in zip(*shares, strict=True) for i in pair]
    assert together == alone


def test_other_data_sets_tell_their_category():
    class Categories(Labelled):
        get_gt_labels = property()  # raises AttributeError

        def get_cat_ids(self, index):
            return [int(self.labels[index])]

    assert class_balanced_sampler._labels(Categories(2, 1)) == [0, 0, 1]


def test_refusals_and_repr():
    with pytest.raises(ValueError, match='shuffle must be True'):
        build(Labelled(1, 1), shuffle=False)
    with pytest.raises(ValueError, match='between 0 and 1, got 2'):
        build(Labelled(1, 1), power=2)
    assert repr(build(Labelled(1, 1), power=0.5)) == 'ClassBalancedSampler(power=0.5, seed=0)'
