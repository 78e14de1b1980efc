"""At which epoch mixing ends, in trainings of several lengths, and in one that is resumed."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from vit_plugins.engine.hooks.fractional_switch_recipe_hook import switch_epoch

MODEL = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    data_preprocessor=dict(num_classes=2),
    head=dict(
        type='LinearClsHead',
        num_classes=2,
        in_channels=32,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8)]),
)
NO_MIXING = dict(action_fraction=0.9, batch_augments=None)


class TwoImages(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        sample = DataSample(metainfo=dict(img_shape=(32, 32))).set_gt_label(index)
        return dict(inputs=torch.full((3, 32, 32), float(index)), data_samples=sample)


class Recorder(Hook):
    """Record in which epochs, counted from 1, images are mixed."""

    def __init__(self):
        self.mixed = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.model.data_preprocessor.batch_augments is not None:
            self.mixed.append(runner.epoch + 1)


def run(work_dir, epochs, schedule=(NO_MIXING,), resume=False, **train_cfg):
    recorder = Recorder()
    runner = Runner(
        model=MODEL,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=TwoImages(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=train_cfg or dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[
            dict(type='FractionalSwitchRecipeHook', schedule=list(schedule)),
            recorder,
        ],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        default_scope='mmpretrain',
        resume=resume,
        experiment_name=f'{work_dir.name}-{epochs}-{resume}',
    )
    runner.train()
    return recorder.mixed


@pytest.mark.parametrize(('epochs', 'last'), [(100, 90), (300, 270), (10, 9), (7, 6), (2, 2)])
def test_the_switch_comes_when_nine_tenths_are_over(epochs, last):
    assert switch_epoch(0.9, epochs) == last + 1


@pytest.mark.parametrize(('epochs', 'mixed'), [(10, 9), (4, 4), (5, 4)])
def test_mixing_ends_for_the_last_tenth(tmp_path, epochs, mixed):
    assert run(tmp_path, epochs) == list(range(1, mixed + 1))


def test_a_resumed_training_has_made_its_switches(tmp_path):
    half = dict(NO_MIXING, action_fraction=0.5)
    assert run(tmp_path, 2, [half]) == [1]
    assert run(tmp_path, 4, [half], resume=True) == []  # epochs 3 and 4 of 4
    assert run(tmp_path, 12, [half], resume=True) == [5, 6]  # and 5 to 12 of 12


def test_several_switches_in_any_order(tmp_path):
    mixup = dict(augments=[dict(type='CutMix', alpha=1.0)])
    schedule = [
        dict(action_fraction=0.75, batch_augments=mixup),
        dict(action_fraction=0.25, batch_augments=None),
    ]
    assert run(tmp_path, 4, schedule) == [1, 4]


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        (dict(batch_augments=None), r'action_fraction \(None\) must lie between 0 and 1'),
        (dict(action_fraction=91, batch_augments=None), r'action_fraction \(91\) must lie'),
        (dict(action_fraction=0.9), 'a switch changes one or more of .* got none of them'),
        (dict(action_fraction=0.9, train_augments=None), 'got train_augments'),
    ],
)
def test_refuses(item, message):
    with pytest.raises(ValueError, match=message):
        HOOKS.build(dict(type='FractionalSwitchRecipeHook', schedule=[item]))


def test_refuses_two_switches_at_once(tmp_path):
    schedule = [NO_MIXING, dict(NO_MIXING, action_fraction=0.91)]
    with pytest.raises(ValueError, match=r'two switches .* fall on the same of 4 epochs'):
        run(tmp_path, 4, schedule)


def test_refuses_a_training_by_iterations(tmp_path):
    with pytest.raises(ValueError, match='counts epochs, train_cfg iterations'):
        run(tmp_path, 4, by_epoch=False, max_iters=4)
