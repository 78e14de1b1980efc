"""A small classifier of digits, for the tests of code that uses trained models."""

import pytest


def _config(num_classes=10):
    from mmengine.config import Config

    pipeline = [dict(type='Resize', scale=16), dict(type='PackInputs')]
    augmented = [dict(type='RandomFlip', prob=1.0), *pipeline]
    arch = dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32)
    loaders = {
        f'{part}_dataloader': dict(
            batch_size=64,
            num_workers=0,
            dataset=dict(type='Digits', split=split, pipeline=steps),
            sampler=dict(type='DefaultSampler', shuffle=part == 'train'),
        )
        for part, split, steps in (('train', 'val', augmented), ('test', 'test', pipeline))
    }
    return Config(
        dict(
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='VisionTransformer', arch=arch, img_size=16, patch_size=8),
                head=dict(
                    type='VisionTransformerClsHead', num_classes=num_classes, in_channels=32
                ),
            ),
            data_preprocessor=dict(mean=[100] * 3, std=[50] * 3, to_rgb=False),
            val_dataloader=loaders['test_dataloader'],
            **loaders,
        )
    )


@pytest.fixture(scope='session')
def config():
    """Return a function that makes configs of a small classifier with any number of classes."""
    return _config


@pytest.fixture(scope='session')
def drloc_classifier():
    """Return the config of a small ConViT with a DRLoc head, for ten classes."""
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=16)
    return dict(
        type='ImageClassifier',
        backbone=dict(
            type='ConViT',
            arch=dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16),
            img_size=16,
            patch_size=8,
            num_local_layers=1,
            out_type='raw',
        ),
        head=dict(type='DRLocHead', in_channels=16, patch_size=8, head=head),
    )
