"""Settings of the optimizer that a resumed training would ignore are refused."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.optim import CosineAnnealingLR, CosineAnnealingMomentum, OptimWrapper
from torch import nn

from vit_plugins.engine.hooks import ResumedSettingsHook
from vit_plugins.engine.work_folder import WorkFolderError

MODEL = nn.Linear(2, 2)


def runner(resume=True, groups=None, **settings):
    """A runner whose optimizer and schedules have just been built."""
    options = {'lr': 0.1, 'betas': (0.9, 0.99), **settings}
    optimizer = torch.optim.AdamW(groups or MODEL.parameters(), **options)
    wrapper = OptimWrapper(optimizer)
    schedules = [CosineAnnealingLR(wrapper, T_max=9), CosineAnnealingMomentum(wrapper, T_max=9)]
    return SimpleNamespace(
        optim_wrapper=wrapper,
        param_schedulers=schedules,
        hooks=[],
        _resume=resume,
        _load_from='w/epoch_1.pth',
    )


@pytest.fixture(scope='module')
def checkpoint():
    """What a training with schedules of rate and momentum has saved after three steps."""
    trained = runner()
    for _ in range(3):
        for parameter in MODEL.parameters():
            parameter.grad = torch.ones_like(parameter)
        trained.optim_wrapper.optimizer.step()
        for schedule in trained.param_schedulers:
            schedule.step()
    state = deepcopy(trained.optim_wrapper.state_dict())
    assert state['param_groups'][0]['lr'] != 0.1  # else the first test shows nothing
    schedules = [schedule.state_dict() for schedule in trained.param_schedulers]
    return {'optimizer': state, 'param_schedulers': schedules}


def test_the_same_settings_go_on(checkpoint):
    ResumedSettingsHook().after_load_checkpoint(runner(lr=0.1 * (1 + 1e-9)), checkpoint)
    ResumedSettingsHook().after_load_checkpoint(runner(resume=False, lr=9), checkpoint)
    ResumedSettingsHook().after_load_checkpoint(runner(lr=9), {'state_dict': {}})
    other = runner()
    other.optim_wrapper = {'type': 'OptimWrapper'}  # not built, as in a test
    ResumedSettingsHook().after_load_checkpoint(other, checkpoint)


@pytest.mark.parametrize(
    ('settings', 'told'),
    [
        ({'lr': 0.5}, r'effect: lr was 0\.1 and is 0\.5\. Resume with the former settings \(--lr'),
        ({'weight_decay': 0.3}, r'epoch_1\.pth, .* weight_decay was 0\.01 and is 0\.3'),
        (
            {'groups': [{'params': [p]} for p in MODEL.parameters()]},
            'has 1 groups .* has 2: other',
        ),
    ],
)
def test_other_settings_are_refused(checkpoint, settings, told):
    with pytest.raises(WorkFolderError, match=told):
        ResumedSettingsHook().after_load_checkpoint(runner(**settings), checkpoint)


def test_a_training_with_averaged_weights_keeps_its_hook(checkpoint):
    averaged = {**checkpoint, 'ema_state_dict': {}}
    with pytest.raises(WorkFolderError, match='with EMAHook, and this one has none'):
        ResumedSettingsHook().after_load_checkpoint(runner(), averaged)
    resumed = runner()
    resumed.hooks.append(EMAHook())
    ResumedSettingsHook().after_load_checkpoint(resumed, averaged)
