"""Random numbers of images depend on seed, epoch and index, however images are loaded."""

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from mmpretrain.datasets import RepeatAugSampler
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from vit_plugins.datasets import ClassSubset
from vit_plugins.datasets.samplers import MPerClassSampler, seeded_batches
from vit_plugins.datasets.samplers.seeded_batches import SeededBatches, seed_batches


class Drawn(BaseDataset):
    """Image i is i and random numbers of three generators, a different count for each image."""

    METAINFO = dict(classes=tuple('abcde'))

    def __init__(self, length=10, broken=()):
        self.length, self.broken = length, broken
        super().__init__(pipeline=[], serialize_data=False)

    def load_data_list(self):
        return [dict(gt_label=index % 5) for index in range(self.length)]

    def get_gt_labels(self):
        return np.arange(self.length) % 5

    def prepare_data(self, index):
        np.random.rand(index)  # noqa: NPY002
        if index in self.broken:
            return None  # the host then loads another, drawn by numpy
        return index, random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


def load(dataset, sampler=None, epoch=0, batch_size=3, seed=7, **settings):
    sampler = sampler or DefaultSampler(dataset, seed=seed)
    loader = DataLoader(dataset, batch_size, sampler=sampler, collate_fn=list, **settings)
    seed_batches(loader, seed).seek(epoch)
    return [image for batch in loader for image in batch]


def test_batches_order_and_workers_do_not_matter():
    images = load(Drawn())
    assert len(set(images)) == 10
    for other in (
        load(Drawn(), batch_size=4),
        load(Drawn(), DefaultSampler(Drawn(), shuffle=False)),
        load(Drawn(), num_workers=2),
    ):
        assert sorted(other) == sorted(images)


@pytest.mark.slow
def test_workers_that_are_spawned():
    other = load(Drawn(), num_workers=1, multiprocessing_context='spawn')
    assert other == load(Drawn())


def test_seeds_and_epochs_draw_anew():
    runs = [load(Drawn()), load(Drawn(), epoch=1), load(Drawn(), seed=8)]
    assert len({image[place] for images in runs for image in images for place in (1, 2, 3)}) == 90


def test_workers_that_stay_draw_anew_in_each_epoch():
    loader = DataLoader(
        Drawn(),
        3,
        sampler=DefaultSampler(Drawn(), seed=7),
        collate_fn=list,
        num_workers=2,
        persistent_workers=True,
    )
    batches = seed_batches(loader, 7)
    for epoch in range(3):
        batches.seek(epoch)
        found = [image for batch in loader for image in batch]
        assert found == load(Drawn(), epoch=epoch)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda data: ConcatDataset([data, Drawn()]),
        lambda data: RepeatDataset(data, 2),
        lambda data: ClassSubset(data, num_per_class=1),
        lambda data: torch.utils.data.Subset(data, range(5)),
        lambda data: Drawn(broken=range(0, 10, 2)),
    ],
)
def test_any_dataset_around_it(wrap):
    """Copies of an image have different indices and therefore different random numbers."""
    dataset = wrap(Drawn())
    images = load(dataset)
    assert len({image[1:] for image in images}) == len(dataset)
    assert sorted(load(dataset, batch_size=2, num_workers=2)) == sorted(images)


def rank_of(monkeypatch, rank, world_size):
    for module in ('mmengine.dataset.sampler', 'mmpretrain.datasets.samplers.repeat_aug'):
        monkeypatch.setattr(f'{module}.get_dist_info', lambda: (rank, world_size))
    monkeypatch.setattr(seeded_batches, 'get_dist_info', lambda: (rank, world_size))


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_repeated_images_draw_anew_on_all_ranks(monkeypatch, world_size):
    images = []
    for rank in range(world_size):
        rank_of(monkeypatch, rank, world_size)
        images += load(Drawn(30), RepeatAugSampler(Drawn(30), seed=7))
    assert len({image[0] for image in images}) <= len(images) / 2
    assert len({image[1:] for image in images}) == len(images)


def test_ranks_together_load_what_one_alone_does(monkeypatch):
    alone, together = load(Drawn()), []
    for rank in range(2):
        rank_of(monkeypatch, rank, 2)
        together += load(Drawn())
    assert sorted(together) == sorted(alone)


def stream(sampler, step, count, **settings):
    loader = DataLoader(Drawn(), 4, sampler=sampler, collate_fn=list, **settings)
    batches = seed_batches(loader, 7)
    batches.seek_step(step)
    return [batch for batch, _ in zip(loader, range(count))]  # noqa: B905


@pytest.mark.parametrize(
    ('rank', 'workers'), [(0, 0), (1, 0), (1, 2), pytest.param(0, 2, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    'make',
    [
        lambda: InfiniteSampler(Drawn(), seed=7),
        lambda: MPerClassSampler(Drawn(), batch_size=4, infinite=True, seed=7),
    ],
)
def test_a_stream_goes_on_from_any_step(monkeypatch, make, rank, workers):
    if rank:
        rank_of(monkeypatch, 1, 2)
    whole = stream(make(), 0, 9)
    assert len({image[1:] for batch in whole for image in batch}) == 36  # none twice
    sampler = make()
    stream(sampler, 0, 2, num_workers=workers)  # it was begun, and more was fetched ahead
    assert stream(sampler, 5, 4, num_workers=workers) == whole[5:]


def test_ranks_share_a_stream_as_one_alone_draws_it(monkeypatch):
    alone = stream(InfiniteSampler(Drawn(), seed=7), 0, 6)
    together = []
    for rank in range(2):
        rank_of(monkeypatch, rank, 2)
        together += stream(InfiniteSampler(Drawn(), seed=7), 0, 3)
    assert sorted(itertools.chain(*together)) == sorted(itertools.chain(*alone))


def test_an_epoch_goes_on_from_any_batch_once():
    sampler = DefaultSampler(Drawn(), seed=7)
    batches = SeededBatches(BatchSampler(sampler, 4, False), seed=7)
    batches.seek(2)
    whole = [(batch.indices, batch.seeds) for batch in batches]
    batches.seek_step(2 * 3 + 1)
    assert [(batch.indices, batch.seeds) for batch in batches] == whole[1:]
    assert len(list(batches)) == len(batches) == 3


def test_batches_travel_to_workers_without_a_draw():
    batches = SeededBatches(BatchSampler(range(4), 4, False), seed=7)
    batch = next(iter(batches))
    state = random.getstate()
    twin = pickle.loads(pickle.dumps(batch))
    assert random.getstate() == state
    assert list(twin) == list(batch) == [0, 1, 2, 3] == [batch[i] for i in range(len(batch))]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    'loader', [DataLoader(Endless(), 2), DataLoader(Drawn(), None)], ids=['iterable', 'no batches']
)
def test_what_is_not_fetched_by_index_is_refused(loader):
    with pytest.raises(TypeError, match='are not fetched by their index in batches'):
        seed_batches(loader, 0)
