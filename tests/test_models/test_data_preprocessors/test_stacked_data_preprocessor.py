"""Against the host's own preprocessor on lists: every bit is the same."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.registry import DATASETS, MODELS

from vit_plugins.datasets import stacked_collate
from vit_plugins.structures import DataSampleBatch

MIX = [{'type': 'Mixup', 'alpha': 0.8}, {'type': 'CutMix', 'alpha': 1.0}]
PIXELS = {'mean': [120.0, 110.0, 100.0], 'std': [50.0, 60.0, 70.0], 'num_classes': 10}


def batch_of(collate, count=12, size=16):
    dataset = DATASETS.build(
        {
            'type': 'Digits',
            'split': 'val',
            'serialize_data': False,  # its garbage collection takes a second
            'pipeline': [{'type': 'Resize', 'scale': (size, size)}, {'type': 'PackInputs'}],
        }
    )
    return collate([dataset[i] for i in range(count)])


def prepare(type_name, collate, training, **settings):
    preprocessor = MODELS.build({'type': type_name, **PIXELS, **deepcopy(settings)})
    np.random.seed(0)  # noqa: NPY002 (the stream that the host draws from)
    torch.manual_seed(0)
    out = preprocessor(batch_of(collate), training)
    return out, np.random.random(), torch.rand(1)  # noqa: NPY002 (as many draws)


@pytest.mark.parametrize('collate', [pseudo_collate, default_collate])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'to_rgb': True},
        {'to_onehot': True},
        {'pad_size_divisor': 7, 'pad_value': 3},
        {'batch_augments': {'augments': MIX}},
        {'batch_augments': {'augments': MIX, 'probs': [0.1, 0.1]}},
    ],
    ids=['plain', 'rgb', 'onehot', 'padded', 'mixed', 'seldom mixed'],
)
def test_equals_the_hosts(settings, training, collate):
    theirs, *their_draws = prepare('ClsDataPreprocessor', collate, training, **settings)
    ours, *our_draws = prepare('StackedDataPreprocessor', stacked_collate, training, **settings)
    assert isinstance(ours['data_samples'], DataSampleBatch)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert our_draws == their_draws
    for one, other in zip(ours['data_samples'], theirs['data_samples'], strict=True):
        assert set(one.all_keys()) == set(other.all_keys())
        for key, value in other.items():
            assert torch.equal(one.get(key), value)
            assert one.get(key).dtype == value.dtype


def classifier(preprocessor, head):
    torch.manual_seed(0)
    return MODELS.build(
        {
            'type': 'ImageClassifier',
            'backbone': {'type': 'DeiT3ViT', 'arch': TINY, 'img_size': 16, 'patch_size': 8},
            'head': head,
            'data_preprocessor': {'type': preprocessor, **PIXELS},
            'train_cfg': {'augments': MIX},
        }
    )


TINY = {'embed_dims': 16, 'num_layers': 1, 'num_heads': 2, 'feedforward_channels': 16}
PLAIN = {'type': 'VisionTransformerClsHead', 'num_classes': 10, 'in_channels': 16}
BCE = {**PLAIN, 'type': 'VisionTransformerBCEHead', 'loss': {'type': 'BinaryCrossEntropyLoss'}}


@pytest.mark.parametrize('head', [PLAIN, BCE], ids=['softmax', 'bce'])
def test_losses_and_predictions_of_a_classifier_are_the_same(head):
    results = []
    for type_name, collate in (
        ('ClsDataPreprocessor', pseudo_collate),
        ('StackedDataPreprocessor', stacked_collate),
    ):
        model = classifier(type_name, deepcopy(head))
        np.random.seed(0)  # noqa: NPY002 (the stream that the host draws from)
        torch.manual_seed(0)
        losses = model(**model.data_preprocessor(batch_of(collate), True), mode='loss')
        predicted = model.val_step(batch_of(collate))
        results.append((losses['loss'], torch.stack([p.pred_score for p in predicted])))
        assert [p.gt_label.item() for p in predicted] == [
            s.gt_label.item() for s in batch_of(pseudo_collate)['data_samples']
        ]
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_lists_go_the_hosts_way():
    ours, *_ = prepare('StackedDataPreprocessor', pseudo_collate, True, to_onehot=True)
    theirs, *_ = prepare('ClsDataPreprocessor', pseudo_collate, True, to_onehot=True)
    assert isinstance(ours['data_samples'], list)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert torch.equal(ours['data_samples'][3].gt_score, theirs['data_samples'][3].gt_score)


def test_images_without_labels():
    preprocessor = MODELS.build({'type': 'StackedDataPreprocessor', **PIXELS, 'to_onehot': True})
    batch = {'inputs': torch.zeros(2, 3, 4, 4), 'data_samples': DataSampleBatch({}, {}, 2)}
    out = preprocessor(batch, True)
    assert out['data_samples'].fields == {}
    assert preprocessor({'inputs': torch.zeros(2, 3, 4, 4)})['data_samples'] is None


def test_one_hot_needs_the_number_of_classes():
    preprocessor = MODELS.build({'type': 'StackedDataPreprocessor', 'to_onehot': True})
    with pytest.raises(ValueError, match='set num_classes in data_preprocessor'):
        preprocessor(batch_of(stacked_collate), True)


CROP = [{'type': 'BatchSimpleRandomCrop', 'crop_size': 16, 'flip_prob': 0.5}]


def augmented(batch, training=True, **settings):
    settings = {'batch_transforms': CROP, **settings}
    return MODELS.build({'type': 'StackedDataPreprocessor', **settings})(batch, training)['inputs']


def test_an_image_is_augmented_by_its_seed_alone():
    batch = batch_of(stacked_collate)
    seeds = np.arange(12)
    whole = augmented({**batch, 'draw_seeds': seeds})
    some = {'inputs': batch['inputs'][[7, 2]], 'draw_seeds': seeds[[7, 2]]}
    assert torch.equal(augmented(some), whole[[7, 2]])
    assert not torch.equal(whole, batch['inputs'].float())
    assert torch.equal(augmented(batch, training=False), batch['inputs'].float())


def test_without_seeds_numpys_stream_decides():
    batch = batch_of(stacked_collate)
    found = []
    for seed in (0, 0, 1):
        np.random.seed(seed)  # noqa: NPY002
        found.append(augmented(batch))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_augmenting_comes_before_channels_pixels_and_mixing():
    batch = {**batch_of(stacked_collate), 'draw_seeds': np.arange(12)}
    first = augmented(batch)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    mixed = augmented(batch, **PIXELS, to_rgb=True, batch_augments={'augments': MIX})
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    plain = MODELS.build(
        {'type': 'StackedDataPreprocessor', **PIXELS, 'to_rgb': True}
        | {'batch_augments': {'augments': MIX}}
    )
    again = {'inputs': first, 'data_samples': batch_of(stacked_collate)['data_samples']}
    assert torch.equal(plain(again, True)['inputs'], mixed)


def test_batch_transforms_need_one_size():
    batch = batch_of(pseudo_collate)
    batch['inputs'][1] = batch['inputs'][1][:, :9]
    with pytest.raises(ValueError, match=r'sizes \[\(9, 16\), \(16, 16\)\]: set collate_fn'):
        augmented(batch)
    with pytest.raises(TypeError, match='BatchCompose takes batch transforms, got Mixup'):
        MODELS.build({'type': 'StackedDataPreprocessor', 'batch_transforms': MIX[:1]})
