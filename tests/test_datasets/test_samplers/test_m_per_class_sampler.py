import itertools
from collections import Counter

import numpy as np
import pytest
from mmengine.runner.loops import _InfiniteDataloaderIterator
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import DataLoader

from vit_plugins.datasets.samplers import m_per_class_sampler


class Labelled:
    """A dataset whose item is its label."""

    def __init__(self, *counts: int) -> None:
        self.labels = np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> int:
        return int(self.labels[index])

    def get_gt_labels(self) -> np.ndarray:
        return self.labels


def build(dataset, **kwargs):
    return DATA_SAMPLERS.build(
        {'type': 'MPerClassSampler', 'dataset': dataset, 'batch_size': 8, 'seed': 0, **kwargs}
    )


@pytest.fixture
def log(logged_by):
    return logged_by(m_per_class_sampler)


def on_rank(monkeypatch, rank, world_size):
    # DefaultSampler asks here
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))


@pytest.mark.parametrize('m', [1, 2, 4])
def test_m_images_of_each_class_and_none_twice(m):
    dataset = Labelled(*[9] * 10)
    drawn = list(build(dataset, samples_per_class=m))
    assert len(drawn) == len(build(dataset, samples_per_class=m)) == 88
    for start in range(0, 88, 8):
        batch = drawn[start : start + 8]
        assert len(set(batch)) == 8
        assert set(Counter(dataset.labels[batch]).values()) == {m}


def test_classes_come_equally_often_and_images_before_they_repeat():
    dataset = Labelled(3, 30, 5, 7, 11, 4)
    sampler = build(dataset, samples_per_class=2, infinite=True)
    drawn = list(itertools.islice(sampler, 8 * 7))  # one epoch
    classes = Counter(dataset.labels[drawn].tolist())
    assert max(classes.values()) - min(classes.values()) <= 2
    images = Counter(drawn)
    for label in range(6):
        counts = [images[i] for i in np.flatnonzero(dataset.labels == label)]
        assert max(counts) - min(counts) <= 1


def test_small_classes_repeat_only_as_they_must_and_are_reported(log):
    dataset = Labelled(1, 3, 4, 8)
    sampler = build(dataset, samples_per_class=4, batch_size=16)
    assert '2 of 4 classes have fewer than 4 images' in log[0]
    (batch,) = [list(sampler)]
    assert len(batch) == 16
    distinct = Counter(dataset.labels[list(set(batch))].tolist())
    assert distinct == {0: 1, 1: 3, 2: 4, 3: 4}


def test_nothing_is_reported_without_small_classes(log):
    build(Labelled(2, 2, 2, 2))
    assert log == []


def test_epochs_differ_and_repeat():
    sampler = build(Labelled(*[9] * 10))
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(build(Labelled(*[9] * 10), seed=1)) != first


def test_infinite_is_epoch_after_epoch():
    dataset = Labelled(*[9] * 10)
    sampler, endless = build(dataset), build(dataset, infinite=True)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs += list(sampler)
    assert list(itertools.islice(endless, len(epochs))) == epochs


def test_ranks_have_disjoint_classes(monkeypatch):
    dataset = Labelled(*[6] * 16)
    shares = []
    for rank in range(2):
        on_rank(monkeypatch, rank, 2)
        shares.append(list(build(dataset, samples_per_class=2)))
    assert [len(share) for share in shares] == [48, 48]
    for start in range(0, 48, 8):
        first, second = ({*dataset.labels[s[start : start + 8]]} for s in shares)
        assert len(first) == len(second) == 4
        assert not first & second
    # The same global batches as of one process with the joined batch.
    on_rank(monkeypatch, 0, 1)
    joined = list(build(dataset, samples_per_class=2, batch_size=16))
    both = zip(*(np.reshape(s, (-1, 8)) for s in shares), strict=True)
    assert joined == np.concatenate([np.concatenate(pair) for pair in both]).tolist()


@pytest.mark.parametrize(('count', 'more'), [(8, 40), (6, 6), (5, 5)])
def test_with_too_few_classes_for_all_ranks_each_rank_has_distinct_ones(
    monkeypatch, log, count, more
):
    dataset = Labelled(*[count] * 3, *[more] * 3)  # two ranks take 8 groups of 3
    shares = []
    for rank in range(2):
        on_rank(monkeypatch, rank, 2)
        shares.append(
            np.reshape(list(build(dataset, samples_per_class=3, batch_size=12)), (-1, 4, 3))
        )
    for groups in zip(*shares, strict=True):
        for group in groups:
            labels = dataset.labels[group]
            assert (labels == labels[:, :1]).all()
            assert len(set(labels[:, 0])) == 4
        images = Counter(np.ravel(groups).tolist())
        repeats = sum(number - 1 for number in images.values())
        assert repeats == 2 * max(6 - count, 0)  # two classes give six images each
    classes = Counter(dataset.labels[np.ravel(shares)].tolist())
    assert max(classes.values()) - min(classes.values()) <= 3
    told = 'MPerClassSampler: 6 of 6 classes have fewer than 6 images; their images come more'
    assert [line[: len(told)] for line in log] == ([] if count >= 6 else [told] * 2)


def test_with_the_iteration_based_loop(monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # the host pauses between epochs
    dataset = Labelled(*[4] * 4)
    loader = DataLoader(dataset, batch_size=8, sampler=build(dataset))
    batches = _InfiniteDataloaderIterator(loader)
    for _ in range(5):  # two batches an epoch
        assert sorted(Counter(next(batches).tolist()).values()) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(shuffle=False), 'shuffle must be True'),
        (dict(samples_per_class=3), r'batch_size \(8\) must be a multiple of samples_per_class'),
        (dict(samples_per_class=0), r'samples_per_class \(0\)'),
        (dict(samples_per_class=1), 'need 8 classes, but there are 4: raise samples_per_class'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(Labelled(9, 9, 9, 9), **settings)


def test_repr():
    text = 'MPerClassSampler(batch_size=8, samples_per_class=2, infinite=False, seed=0)'
    assert repr(build(Labelled(9, 9, 9, 9))) == text
