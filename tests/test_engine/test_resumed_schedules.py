"""Schedules of a resumed training equal those of an uninterrupted training."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper, ReduceOnPlateauLR
from torch import nn

from vit_plugins.engine.resumed_schedules import follow_new_length
from vit_plugins.engine.schedulers import WarmupCosineLR

pytestmark = pytest.mark.filterwarnings('ignore:Detected call of')
MODEL = nn.Linear(2, 2)


def host_chain(wrapper, end, by_epoch):
    return [
        LinearLR(wrapper, start_factor=0.1, end=2, by_epoch=by_epoch),
        CosineAnnealingLR(wrapper, T_max=end - 2, begin=2, end=end, by_epoch=by_epoch),
    ]


def one_cosine(wrapper, end, by_epoch):
    return [WarmupCosineLR(wrapper, warmup=2, end=end, by_epoch=by_epoch)]


def trained(schedules, epochs, steps=0, length=1, by_epoch=True):
    """Return a runner after some steps of its schedules."""
    optimizer = torch.optim.SGD(MODEL.parameters(), lr=0.1)
    wrapper = OptimWrapper(optimizer)
    built = schedules(wrapper, epochs if by_epoch else epochs * length, by_epoch)
    for _ in range(steps):
        for schedule in built:
            schedule.step()
    return SimpleNamespace(
        optim_wrapper=wrapper,
        param_schedulers=built,
        max_epochs=epochs,
        max_iters=epochs * length,
    )


def saved(runner):
    info = {'max_epochs': runner.max_epochs, 'max_iters': runner.max_iters}
    return {
        'optimizer': runner.optim_wrapper.state_dict(),
        'param_schedulers': [s.state_dict() for s in runner.param_schedulers],
        'message_hub': {'runtime_info': info},
    }


def load(runner, checkpoint):
    """Load a checkpoint like the host."""
    runner.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    for schedule, state in zip(
        runner.param_schedulers, checkpoint['param_schedulers'], strict=True
    ):
        schedule.load_state_dict(state)


def rates(runner, steps):
    """Return the learning rate now and after each of some steps."""
    found = [runner.optim_wrapper.get_lr()['lr'][0]]
    for _ in range(steps):
        for schedule in runner.param_schedulers:
            schedule.step()
        found += runner.optim_wrapper.get_lr()['lr']
    return found


@pytest.mark.parametrize('schedules', [host_chain, one_cosine])
@pytest.mark.parametrize(('length', 'by_epoch'), [(1, True), (3, False)])
def test_more_epochs_have_the_schedule_of_a_longer_training(schedules, length, by_epoch):
    checkpoint = saved(trained(schedules, 6, 6 * length, length, by_epoch))
    resumed = trained(schedules, 12, 0, length, by_epoch)
    line = follow_new_length(resumed, checkpoint)
    load(resumed, checkpoint)
    expected = rates(trained(schedules, 12, 6 * length, length, by_epoch), 6 * length)
    assert rates(resumed, 6 * length) == pytest.approx(expected, rel=1e-9)
    assert max(expected) > 0.04  # the rate at which the shorter training ended is far lower
    assert f'goes on at {expected[0]:.3g}, it was' in line


def mixed(groups, epochs, length, done=0):
    """Return the rates of a warm-up of steps and a cosine of epochs, in the host's order."""
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    wrapper = OptimWrapper(optimizer)
    built = [
        CosineAnnealingLR(wrapper, eta_min=1e-5, by_epoch=True, begin=5, end=epochs),
        LinearLR(wrapper, start_factor=1e-3, by_epoch=False, end=5 * length),
    ]
    for _ in range(done):
        for _ in range(length):
            built[1].step()
        built[0].step()
    return SimpleNamespace(
        optim_wrapper=wrapper,
        param_schedulers=built,
        max_epochs=epochs,
        max_iters=epochs * length,
    )


def test_steps_and_epochs_go_on_in_the_order_of_a_training():
    groups = [{'params': [MODEL.weight]}, {'params': [MODEL.bias], 'lr': 5e-4}]
    checkpoint = deepcopy(saved(mixed(groups, 20, 4, 10)))
    resumed, expected = mixed(groups, 30, 4), mixed(groups, 30, 4, 10)
    assert follow_new_length(resumed, checkpoint)
    load(resumed, checkpoint)
    for name, values in expected.optim_wrapper.get_lr().items():
        assert resumed.optim_wrapper.get_lr()[name] == pytest.approx(values, rel=1e-9)
    assert expected.optim_wrapper.get_lr()['base_lr'][0] == pytest.approx(0.000905, abs=1e-6)


@pytest.mark.parametrize('schedules', [host_chain, one_cosine])
@pytest.mark.parametrize(('length', 'by_epoch'), [(1, True), (3, False)])
def test_schedules_that_were_ahead_go_back_to_the_training(schedules, length, by_epoch):
    """A time budget has ended 9 epochs after 4, with the schedules at their end."""
    checkpoint = saved(trained(schedules, 9, 9 * length, length, by_epoch))
    checkpoint['meta'] = {'epoch': 4, 'iter': 4 * length}
    resumed = trained(schedules, 18, 0, length, by_epoch)
    assert follow_new_length(resumed, checkpoint, ahead=True)
    load(resumed, checkpoint)
    expected = rates(trained(schedules, 18, 4 * length, length, by_epoch), 14 * length)
    assert rates(resumed, 14 * length) == pytest.approx(expected, rel=1e-9)


def test_without_schedules_the_line_names_none():
    line = follow_new_length(
        trained(no_schedules, 6), saved(trained(no_schedules, 6)), always=True
    )
    assert line.startswith('There are no schedules, and the settings of this training are used')


def no_schedules(wrapper, end, by_epoch):
    return []


@pytest.mark.parametrize('schedules', [host_chain, one_cosine])
def test_epochs_of_other_lengths_are_counted_as_epochs(schedules):
    checkpoint = saved(trained(schedules, 6, 3 * 4, 4, by_epoch=False))
    resumed = trained(schedules, 6, 0, 8, by_epoch=False)  # half as many images in a batch
    assert follow_new_length(resumed, checkpoint)
    load(resumed, checkpoint)
    expected = rates(trained(schedules, 6, 3 * 8, 8, by_epoch=False), 3 * 8)
    assert rates(resumed, 3 * 8) == pytest.approx(expected, rel=1e-9)


def plateau(wrapper, end, by_epoch):
    return [ReduceOnPlateauLR(wrapper, monitor='loss')]


@pytest.mark.parametrize(('schedules', 'steps'), [(host_chain, 3), (one_cosine, 3), (plateau, 0)])
def test_schedules_that_are_the_same_or_wait_for_scores_stay(schedules, steps):
    checkpoint = saved(trained(schedules, 6, steps))
    states = checkpoint['param_schedulers']
    resumed = trained(schedules, 6 if steps else 12)
    assert follow_new_length(resumed, checkpoint) == ''
    assert checkpoint['param_schedulers'] is states
