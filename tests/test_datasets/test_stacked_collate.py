import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample, MultiTaskDataSample
from torch.utils.data import DataLoader

from vit_plugins.datasets import stacked_collate
from vit_plugins.structures import DataSampleBatch, StackedItems


def sample(label, size=4):
    pixels = torch.full((3, size, size), label, dtype=torch.uint8)
    return {'inputs': pixels, 'data_samples': DataSample().set_gt_label(label)}


def test_registered_where_the_runner_looks():
    assert FUNCTIONS.get('stacked_collate') is stacked_collate


def test_images_and_labels_are_stacked():
    batch = stacked_collate([sample(0), sample(5)])
    assert batch['inputs'].shape == (2, 3, 4, 4)
    assert batch['inputs'].dtype == torch.uint8
    assert batch['inputs'][:, 0, 0, 0].tolist() == [0, 5]
    assert isinstance(batch['data_samples'], DataSampleBatch)
    assert batch['data_samples'].gt_label.tolist() == [[0], [5]]


def test_images_of_several_sizes_stay_a_list_with_labels_stacked():
    batch = stacked_collate([sample(0), sample(1, size=5)])
    assert [tuple(x.shape) for x in batch['inputs']] == [(3, 4, 4), (3, 5, 5)]
    assert batch['data_samples'].gt_label.tolist() == [[0], [1]]


def test_what_does_not_fit_is_left_to_the_host():
    several = [sample(0), sample(1)]
    several[0]['data_samples'].set_gt_label([0, 1])
    assert isinstance(stacked_collate(several)['data_samples'], list)
    for item in several:
        item['data_samples'] = MultiTaskDataSample()
    assert isinstance(stacked_collate(several)['data_samples'], list)
    views = [{'inputs': [torch.zeros(3, 2, 2)] * 2, 'data_samples': DataSample()}] * 2
    assert len(stacked_collate(views)['inputs']) == 2


def test_a_batch_made_by_the_dataset_passes():
    made = {'inputs': torch.zeros(2, 3, 4, 4), 'data_samples': DataSampleBatch({}, {}, 2)}
    items = StackedItems(made)
    assert stacked_collate(items) is made
    assert len(pseudo_collate(items)['inputs']) == 2


def test_the_same_from_workers():
    dataset = {'type': 'Digits', 'split': 'val', 'pipeline': [{'type': 'PackInputs'}]}
    dataset['serialize_data'] = False
    dataset = DATASETS.build(dataset)
    loaders = [DataLoader(dataset, 20, num_workers=n, collate_fn=stacked_collate) for n in (0, 2)]
    for here, there in zip(*loaders, strict=True):
        assert torch.equal(here['inputs'], there['inputs'])
        assert torch.equal(here['data_samples'].gt_label, there['data_samples'].gt_label)
        assert here['data_samples'].metainfo == there['data_samples'].metainfo
