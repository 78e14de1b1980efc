"""Trainings with joined groups: the same weights and checkpoints, resumed from either kind."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmpretrain.registry import HOOKS
from torch import nn

from vit_plugins.engine import grouped_step

JOIN = dict(type='GroupedStepHook', on_cpu=True)


def settings(toy, folder, hooks=()):
    """Return a training with layer-wise rates, and clipped and accumulated gradients."""
    return toy.settings(folder, custom_hooks=[*hooks]) | dict(
        param_scheduler=dict(type='LinearLR', start_factor=0.1, end=3),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.05, foreach=True),
            constructor='BackboneDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.7, flat_decay_mult=0.0),
            clip_grad=dict(max_norm=1.0),
            accumulative_counts=2,
        ),
    )


def assert_same_training(found, expected):
    one, other = found['optimizer'], expected['optimizer']
    assert one['param_groups'] == other['param_groups']
    assert found['param_schedulers'] == expected['param_schedulers']
    torch.testing.assert_close(one['state'], other['state'], rtol=0, atol=0)
    torch.testing.assert_close(found['state_dict'], expected['state_dict'], rtol=0, atol=0)


@pytest.mark.slow
def test_trainings_with_and_without_it_end_alike(toy, tmp_path, monkeypatch, recwarn):
    sizes = []

    def joined_groups(groups, *others):
        found = join(groups, *others)
        sizes.append((len(groups), len(found)))
        return found

    join = grouped_step.joined_groups
    monkeypatch.setattr(grouped_step, 'joined_groups', joined_groups)
    _, expected = toy.train(settings(toy, tmp_path / 'apart'))
    assert not sizes
    config = settings(toy, tmp_path / 'joined', [JOIN])
    newest, _ = toy.train(config, interrupt=6)
    _, found = toy.train(config, resume=newest)
    assert_same_training(found, expected)
    old = str(tmp_path / 'apart' / 'epoch_1.pth')
    _, found = toy.train(settings(toy, tmp_path / 'from_old', [JOIN]), resume=old)
    assert_same_training(found, expected)
    assert set(sizes) == {(37, 8)}  # four depths, with and without decay
    assert not [one for one in recwarn if 'optimizer.step' in str(one.message)]


def runner_of(wrapper):
    return SimpleNamespace(optim_wrapper=wrapper, logger=logging.getLogger('grouped_step'))


def wrapped(kind=torch.optim.SGD):
    groups = [dict(params=[parameter]) for parameter in nn.LSTM(2, 2).parameters()]
    return OptimWrapper(kind(groups, lr=0.1))


def joins(wrapper):
    return 'step' in vars(wrapper.optimizer)


def test_each_optimizer_of_several_is_joined(caplog):
    wrappers = OptimWrapperDict(one=wrapped(), two=wrapped(torch.optim.AdamW))
    with caplog.at_level('INFO'):
        HOOKS.build(JOIN).before_train(runner_of(wrappers))
    assert all(joins(one) for one in wrappers.values())
    assert 'AdamW computes its 4 parameter groups as 1, of equal settings' in caplog.text


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_parameters_on_a_cpu_are_left_alone(device):
    with torch.device(device):
        wrapper = wrapped()
    HOOKS.build(dict(type='GroupedStepHook')).before_train(runner_of(wrapper))
    assert joins(wrapper) == (device != 'cpu')
