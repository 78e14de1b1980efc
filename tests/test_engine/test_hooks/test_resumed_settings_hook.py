"""A resumed training follows the settings of the optimizer that it is given."""

import logging
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.optim import (
    CosineAnnealingLR,
    CosineAnnealingMomentum,
    OptimWrapper,
    OptimWrapperDict,
)
from torch import nn

from vit_plugins.engine.hooks import ResumedSettingsHook, TimeBudgetHook
from vit_plugins.engine.hooks.time_budget_hook import POSITION
from vit_plugins.engine.resumed_settings import told_changes
from vit_plugins.engine.work_folder import WorkFolderError

MODEL = nn.Linear(2, 2)


def runner(resume=True, groups=None, **settings):
    """Return a runner whose optimizer and schedules are new."""
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
        max_epochs=9,
        max_iters=9,
        logger=logging.getLogger('resumed'),
    )


@pytest.fixture(scope='module')
def checkpoint():
    """Return the checkpoint of a training after three steps, with two types of schedules."""
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
        ({'lr': 0.5}, 'lr was 0.1 and is 0.5'),
        ({'weight_decay': 0.3}, 'weight_decay was 0.01 and is 0.3'),
    ],
)
def test_other_settings_are_followed_as_from_the_start(checkpoint, settings, told, caplog):
    checkpoint, resumed, expected = deepcopy(checkpoint), runner(**settings), runner(**settings)
    expected.optim_wrapper.optimizer.step()
    for _ in range(3):
        for schedule in expected.param_schedulers:
            schedule.step()
    with caplog.at_level('INFO'):
        ResumedSettingsHook().after_load_checkpoint(resumed, checkpoint)
    resumed.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    group, wanted = (r.optim_wrapper.optimizer.param_groups[0] for r in (resumed, expected))
    for name in ('lr', 'weight_decay', 'betas'):
        assert group[name] == pytest.approx(wanted[name], rel=1e-9)
    assert f'The settings are not those of the checkpoint: {told}\n' in caplog.text
    assert 'The schedules follow the settings of this training, as if' in caplog.text
    assert checkpoint['param_schedulers'] == [s.state_dict() for s in expected.param_schedulers]


@pytest.mark.parametrize(('position', 'budget'), [(3.0, True), (3.0, False), (1.0, False)])
def test_a_budget_that_is_gone_leaves_the_schedules_at_the_training(
    checkpoint, position, budget, caplog
):
    """The schedules are at step 3; a time budget has moved them there in one step."""
    checkpoint, resumed = deepcopy(checkpoint), runner()
    checkpoint['meta'] = {'epoch': 1, 'iter': 1}
    info = {POSITION: position, 'max_epochs': 9, 'max_iters': 9}
    checkpoint['message_hub'] = {'runtime_info': info, 'resumed_keys': {POSITION: True}}
    resumed.hooks += [TimeBudgetHook(60)] if budget else []
    with caplog.at_level('INFO'):
        ResumedSettingsHook().after_load_checkpoint(resumed, checkpoint)
    back = position > 1 and not budget
    assert ('a time limit (TimeBudgetHook) was in use and is not' in caplog.text) == back
    steps = [state['_global_step'] for state in checkpoint['param_schedulers']]
    assert steps == ([1, 1] if back else [3, 3])
    assert (POSITION in info) == (POSITION in checkpoint['message_hub']['resumed_keys']) == budget


def test_several_groups_are_told_by_their_range():
    before = [{'lr': 0.1, 'betas': (0.9, 0.99)}, {'lr': 0.2, 'betas': (0.9, 0.99)}, {'lr': 1}]
    now = [{'lr': 0.5, 'betas': (0.8, 0.99)}, {'lr': 0.6, 'betas': (0.7, 0.99)}, {'lr': 1}]
    assert told_changes(before, now) == [
        'lr was 0.1 to 0.2 and is 0.5 to 0.6 in 2 of 3 groups of parameters',
        'betas was (0.9, 0.99) and is (0.8, 0.99) or (0.7, 0.99) in 2 of 3 groups of parameters',
    ]


def test_several_optimizers_are_told_to_keep_their_settings(checkpoint, caplog):
    resumed = runner(lr=9)
    resumed.optim_wrapper = OptimWrapperDict(first=resumed.optim_wrapper)
    ResumedSettingsHook().after_load_checkpoint(resumed, {'optimizer': {}})
    assert 'schedules of the 1 optimizers are those of w/epoch_1.pth' in caplog.text


def test_settings_that_nothing_can_follow_are_refused(checkpoint):
    resumed = runner(lr=0.5)
    resumed.param_schedulers = resumed.param_schedulers[:1]
    with pytest.raises(WorkFolderError, match=r'lr was 0\.1 and is 0\.5\. Resume with the former'):
        ResumedSettingsHook().after_load_checkpoint(resumed, deepcopy(checkpoint))
    groups = [{'params': [parameter]} for parameter in MODEL.parameters()]
    with pytest.raises(WorkFolderError, match=r'has 1 groups .* has 2: other layers'):
        ResumedSettingsHook().after_load_checkpoint(runner(groups=groups), checkpoint)


def test_a_training_with_averaged_weights_keeps_its_hook(checkpoint):
    averaged = {**checkpoint, 'ema_state_dict': {}}
    with pytest.raises(WorkFolderError, match='with EMAHook, and this one has none'):
        ResumedSettingsHook().after_load_checkpoint(runner(), averaged)
    resumed = runner()
    resumed.hooks.append(EMAHook())
    ResumedSettingsHook().after_load_checkpoint(resumed, averaged)
