"""The datasets of the DRLoc paper at 224 px, and two more for tests of ImageNet classifiers."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
DOMAINS = ('clipart', 'infograph', 'painting', 'quickdraw', 'real', 'sketch')
# classes as in Table 1a; splits to train and to test with
EXPECTED = {
    'cifar10': ('CIFAR10', 10, 'train', 'test'),
    'cifar100': ('CIFAR100', 100, 'train', 'test'),
    'flowers102': ('Flowers102', 102, 'trainval', 'test'),
    'svhn': ('SVHN', 10, 'train', 'test'),
    'imagenet100': ('ImageNet100', 100, 'train', 'val'),
    **{f'domainnet_{name}': ('DomainNet', 345, 'train', 'test') for name in DOMAINS},
}


@pytest.mark.parametrize('name', EXPECTED)
def test_the_eleven(name):
    kind, classes, train, test = EXPECTED[name]
    cfg = Config.fromfile(FOLDER / f'{name}_224.py')
    parts = [cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]
    assert [part.type for part in parts] == [kind] * 3
    assert [part.split for part in parts] == [train, test, test]
    assert cfg.data_preprocessor.num_classes == classes
    if kind == 'DomainNet':
        assert {part.domain for part in parts} == {name.removeprefix('domainnet_')}
    # files are read as BGR, the arrays of CIFAR and SVHN are RGB
    loads = [part.pipeline[0].type == 'LoadImageFromFile' for part in parts]
    assert loads == [cfg.data_preprocessor.to_rgb] * 3
    assert loads[0] == (name not in ('cifar10', 'cifar100', 'svhn'))
    assert (cfg.train_dataloader.sampler.type, cfg.train_dataloader.batch_size) == (
        'DefaultSampler',
        128,
    )
    if hasattr(DATASETS.get(kind), 'IS_CLASSIFICATION'):
        DATASETS.build({**parts[0], 'pipeline': [], 'lazy_init': True})


def test_other_test_images_and_labels_of_imagenet():
    v2 = Config.fromfile(FOLDER / 'imagenet_v2_224.py')
    assert v2.test_dataloader.dataset.type == 'ImageNetV2'
    assert v2.test_dataloader.dataset.pipeline == v2.val_dataloader.dataset.pipeline
    real = Config.fromfile(FOLDER / 'imagenet_real_224.py')
    assert [metric.type for metric in real.test_evaluator] == ['Accuracy', 'ReaLAccuracy']
    assert real.test_dataloader.dataset.split == 'val'
