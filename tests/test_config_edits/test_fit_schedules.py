"""Schedules follow the length of the training; fitting ones do not change."""

import pytest
import torch
from mmpretrain.registry import PARAM_SCHEDULERS

from vit_plugins.config_edits.fit_schedules import fit_schedules

EPOCH = 10  # iterations


def rates(schedules, steps):
    """Train with the fitted schedules and return the learning rate of each iteration."""
    fitted, notes = fit_schedules(schedules, steps, EPOCH)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    built = []
    for schedule in fitted:
        by_epoch = schedule.get('by_epoch', True)
        end = steps // EPOCH if by_epoch else steps
        settings = {'end': end, **schedule}
        built.append(
            PARAM_SCHEDULERS.build(
                settings, default_args=dict(optimizer=optimizer, epoch_length=EPOCH)
            )
        )
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in built:
            if not scheduler.by_epoch or (step + 1) % EPOCH == 0:
                scheduler.step()
    return found, notes


CHAIN = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=95, by_epoch=True, begin=5, end=100),
]
FITTING = [
    ([dict(type='WarmupCosineLR', warmup=5)], 60),
    ([dict(type='WarmupCosineLR', warmup=50, by_epoch=False)], 60),
    (CHAIN, 1000),
    (CHAIN, 2000),
    ([dict(type='MultiStepLR', milestones=[3, 6])], 70),
    ([dict(type='LinearLR', by_epoch=False, end=15), dict(type='CosineAnnealingLR', T_max=4)], 40),
    ([dict(type='ExponentialLR', gamma=0.9)], 40),
]


@pytest.mark.parametrize(('schedules', 'steps'), FITTING)
def test_what_fits_stays(schedules, steps):
    assert fit_schedules(schedules, steps, EPOCH) == (schedules, [])


def test_a_cosine_longer_than_the_training_stops_early_with_a_word():
    schedules = [dict(type='WarmupCosineLR', warmup=20, total=300)]
    found, notes = fit_schedules(schedules, 1000, EPOCH)
    assert found == schedules
    assert notes == ['WarmupCosineLR is stopped after 100 of its 300 steps']


@pytest.mark.parametrize(
    'schedules',
    [
        CHAIN,
        [dict(s, by_epoch=True, convert_to_iter_based=False) for s in CHAIN],
        [dict(type='WarmupCosineLR', warmup=5, eta_min=0.0)],
        [dict(type='WarmupCosineLR', warmup=5, eta_min=0.0, lag=1)],
        [dict(type='WarmupCosineLR', warmup=5, total=100, eta_min=0.0)],
        [dict(type='WarmupCosineLR', warmup=5, eta_min=0.0, convert_to_iter_based=True)],
        [dict(type='WarmupCosineLR', warmup=50, eta_min=0.0, by_epoch=False)],
        [dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50), CHAIN[1]],
        [
            dict(type='LinearLR', start_factor=0.01, end=5),
            dict(type='CosineAnnealingLR', begin=5),
        ],
    ],
)
@pytest.mark.parametrize('epochs', [2, 3, 4])
def test_a_short_training_rises_and_comes_down(schedules, epochs):
    found, notes = rates(schedules, epochs * EPOCH)
    assert len(notes) == 1
    assert 'shortened' in notes[0]
    top = max(found)
    assert top > 0.85
    assert found.index(top) < len(found) / 3
    if epochs > 2 or len(schedules) == 1:  # a warm-up of one step is left out
        assert found[0] < 0.5
    assert found[-1] < 0.1


def test_milestones_beyond_the_training_are_scaled():
    found, notes = rates([dict(type='MultiStepLR', milestones=[30, 60, 90], gamma=0.1)], 300)
    assert [round(found[i], 6) for i in (99, 100, 199, 200, 299)] == [1, 0.1, 0.1, 0.01, 0.01]
    assert 'MultiStepLR' in notes[0]
    assert 'warm-up' not in notes[0]


WARMUP = dict(type='LinearLR', start_factor=0.01, end=5)


@pytest.mark.parametrize(
    'decay',
    [dict(type='StepLR', step_size=1, gamma=0.5), dict(type='ExponentialLR', gamma=0.5)],
    ids=lambda s: s['type'],
)
def test_a_decay_per_epoch_after_a_shortened_warmup_stays_one_per_epoch(decay):
    found, notes = rates([WARMUP, dict(decay, begin=5)], 3 * EPOCH)
    assert len(notes) == 1
    start = 3  # steps of the warm-up
    assert found[start] == pytest.approx(1.0, abs=0.1)
    assert found[start + 1 + EPOCH] / found[start + 1] == pytest.approx(0.5)
    assert 0.1 < found[-1] < 0.3


@pytest.mark.parametrize(
    'untimed',
    [
        dict(type='StepLR', step_size=1, gamma=0.9),
        dict(type='ExponentialLR', gamma=0.9),
        dict(type='ReduceOnPlateauLR', monitor='accuracy/top1', begin=5, end=90),
    ],
    ids=lambda s: s['type'],
)
def test_a_schedule_without_a_length_or_that_waits_for_scores_stays(untimed):
    for chain in ([WARMUP, untimed], [*CHAIN, untimed]):
        found, _ = fit_schedules(chain, 3 * EPOCH, EPOCH)
        assert found[-1] == untimed
        assert found[0]['end'] <= 3


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='StepLR', step_size=30, gamma=0.1, end=90),
        dict(type='StepLR', step_size=30, gamma=0.1, end=90, convert_to_iter_based=True),
        dict(type='ExponentialLR', gamma=0.1 ** (1 / 30), end=90),
        dict(
            type='CosineRestartLR',
            periods=[30, 30, 30],
            restart_weights=[1, 0.5, 0.25],
            eta_min=0.0,
            end=90,
        ),
    ],
    ids=lambda s: s['type'],
)
def test_parts_of_a_schedule_are_scaled_with_it(schedule):
    """A fifth of the length has the same learning rates, each for a fifth of the time."""
    epochs = dict(schedule, convert_to_iter_based=False)
    planned, _ = rates([epochs], 90 * EPOCH)
    found, notes = rates([schedule], 18 * EPOCH)
    assert len(notes) == 1
    assert found[:: EPOCH // 5] == pytest.approx(planned[::EPOCH], rel=1e-6)
