import numpy as np
import pytest
import torch
from mmpretrain.registry import DATA_SAMPLERS


class Pairs(list):
    """Images whose 3D model is their index modulo 5, each paired with the next one of it."""

    def __init__(self, count: int = 30) -> None:
        super().__init__(range(count))
        self.pairs = np.array([(i, i + 5) for i in range(count - 5)])

    def get_gt_labels(self):
        return np.arange(len(self)) % 5


def build(dataset=None, **kwargs):
    settings = {'num_pairs': 4, 'pool_size': 12, 'num_negatives': 3, 'seed': 0, **kwargs}
    return DATA_SAMPLERS.build({'type': 'TupleSampler', 'dataset': dataset or Pairs(), **settings})


def complete(sampler):
    sampler.set_negatives(torch.arange(4 * 3).reshape(4, 3))
    return sampler


def test_order_is_query_positive_negatives():
    sampler = complete(build())
    tuples = torch.tensor(list(sampler)).reshape(4, 5)
    assert len(sampler) == 20
    assert torch.equal(tuples[:, :2], sampler.epoch_sample.pairs)
    assert torch.equal(tuples[:, 1], tuples[:, 0] + 5)
    assert tuples[:, 2:].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert len(tuples[:, 0].unique()) == 4
    assert len(sampler.epoch_sample.pool.unique()) == 12


def test_published_numbers_are_the_default():
    sampler = DATA_SAMPLERS.build({'type': 'TupleSampler', 'dataset': Pairs(30_000), 'seed': 0})
    assert sampler.epoch_sample.pairs.shape == (2000, 2)
    assert sampler.epoch_sample.pool.shape == (22000,)
    assert len(sampler) / 35 == 400  # steps of an epoch
    assert repr(sampler).endswith('num_pairs=2000, pool_size=22000, num_negatives=5, seed=0)')


def test_an_epoch_is_the_same_whatever_came_before():
    straight, resumed = build(), build()
    draws = []
    for epoch in range(3):
        straight.set_epoch(epoch)
        draws.append(straight.epoch_sample)
    resumed.set_epoch(2)
    assert torch.equal(resumed.epoch_sample.pairs, draws[2].pairs)
    assert torch.equal(resumed.epoch_sample.pool, draws[2].pool)
    assert not torch.equal(draws[0].pairs, draws[1].pairs)
    assert torch.equal(build(seed=1).epoch_sample.pairs, draws[1].pairs)  # seed + epoch


def test_negatives_are_of_their_epoch_only():
    sampler = complete(build())
    sampler.set_epoch(0)
    assert len(list(sampler)) == 20  # told again of the same epoch
    sampler.set_epoch(1)
    with pytest.raises(RuntimeError, match=r'negatives of epoch 1 are not known: add.*HardNeg'):
        iter(sampler)


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_tuples(monkeypatch, world_size):
    whole = torch.tensor(list(complete(build()))).reshape(4, 5).tolist()
    seen = []
    for rank in range(world_size):
        monkeypatch.setattr(
            'vit_plugins.datasets.samplers.tuple_sampler.get_dist_info',
            lambda rank=rank: (rank, world_size),
        )
        sampler = complete(build())
        mine = torch.tensor(list(sampler)).reshape(-1, 5).tolist()
        assert len(mine) * 5 == len(sampler)
        seen.append(mine)
    assert len({len(mine) for mine in seen}) == 1
    dealt = [tuples for step in zip(*seen, strict=True) for tuples in step]
    assert dealt[:4] == whole
    assert all(tuples in whole for tuples in dealt)


def test_fewer_than_asked_for_are_all_taken():
    sampler = build(num_pairs=99, pool_size=99)
    assert sampler.epoch_sample.pairs.shape == (25, 2)
    assert sorted(sampler.epoch_sample.pool.tolist()) == list(range(30))


def test_refusals():
    with pytest.raises(ValueError, match='needs a dataset with pairs, but list has none'):
        DATA_SAMPLERS.build({'type': 'TupleSampler', 'dataset': [1, 2]})
    with pytest.raises(ValueError, match='num_negatives must be at least 1, got 0'):
        build(num_negatives=0)
    with pytest.raises(ValueError, match=r'seed must be an integer, got 1[.]5'):
        build(seed=1.5)
    short = Pairs()
    short.pop()
    with pytest.raises(ValueError, match='the image 29, but the dataset has 29'):
        build(short)
    with pytest.raises(ValueError, match=r'negatives must have the shape \(4, 3\), got \(4, 2\)'):
        build().set_negatives(torch.zeros(4, 2))
