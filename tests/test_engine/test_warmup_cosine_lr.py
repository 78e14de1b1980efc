"""WarmupCosineLR against the figures of the published ConViT and DRLoc recipes."""

import math

import pytest
import torch
from mmpretrain.registry import PARAM_SCHEDULERS

from vit_plugins.engine.schedulers.warmup_cosine_lr import WarmupCosineLR


def optimizer(lr=1e-3):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def learning_rates(scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]['lr'])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_convit_epochs():
    """Warm-up from 1e-6, cosine of 300 epochs not shifted by it, each epoch one step late."""
    rates = learning_rates(WarmupCosineLR(optimizer(), warmup=5, end=300, lag=1), 300)
    assert rates[0] == rates[1] == 1e-6
    assert rates[2] == pytest.approx(1e-6 + (1e-3 - 1e-6) / 5)
    for epoch in (6, 100, 299):
        expected = 1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * (epoch - 1) / 300)) / 2
        assert rates[epoch] == pytest.approx(expected, rel=1e-12)


def test_drloc_log_values():
    """The published log prints 1.24e-4 at epoch 20 and 0.94e-4 at epoch 100.

    It ran at batch 128, so all learning rates are an eighth of those at batch 1024.
    """
    lengths = dict(warmup=20, total=300, end=101, epoch_length=4)
    scheduler = WarmupCosineLR.build_iter_from_epoch(
        optimizer(1e-3 / 8), warmup_lr=1e-6 / 8, eta_min=1e-5 / 8, **lengths
    )
    rates = learning_rates(scheduler, 404)
    assert rates[80] == pytest.approx(1.24e-4, abs=5e-7)
    assert rates[-1] == pytest.approx(0.94e-4, abs=5e-7)


def test_registered_and_resumed():
    def build():
        config = dict(type='WarmupCosineLR', warmup=2, end=10)
        return PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=optimizer()))

    whole = learning_rates(build(), 8)
    first = build()
    learning_rates(first, 3)
    second = build()
    second.load_state_dict(first.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert learning_rates(second, 5) == whole[3:]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(warmup=5, end=3), r'warmup \(5\) .* shorter than the schedule \(3\)'),
        (dict(warmup=-1, end=3), r'warmup \(-1\) must be at least 0'),
        (dict(warmup=1, end=3, lag=-1), r'lag \(-1\) must be at least 0'),
        (dict(eta_min=math.nan), 'eta_min [(]nan[)] must be finite'),
        (dict(begin=5, end=5, total=9), 'begin [(]5[)] must be at least 0 and before end [(]5[)]'),
        (dict(last_step=0.5), 'last_step must be an integer of at least -1, got 0.5'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        WarmupCosineLR(optimizer(), **settings)


def test_only_epochs_convert():
    with pytest.raises(ValueError, match='by_epoch=True'):
        WarmupCosineLR.build_iter_from_epoch(optimizer(), by_epoch=False, epoch_length=2)
