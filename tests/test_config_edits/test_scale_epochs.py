import pytest
from mmengine.config import Config

from vit_plugins.config_edits.scale_epochs import scale_epochs, scaled_epochs


def config(*schedules, **train_cfg):
    hooks = {'checkpoint': {'type': 'CheckpointHook', 'interval': 5}}
    train_cfg = {'by_epoch': True, 'max_epochs': 300, 'val_interval': 1, **train_cfg}
    return Config(
        {'train_cfg': train_cfg, 'param_scheduler': list(schedules), 'default_hooks': hooks}
    )


@pytest.mark.parametrize(
    ('fraction', 'epochs'), [(0.05, 6000), (0.1, 3000), (0.3, 1000), (1, 300)]
)
def test_steps_stay(fraction, epochs):
    assert scaled_epochs(300, fraction) == epochs


def test_schedule_is_stretched_and_warmup_stays():
    cfg = scale_epochs(
        config(
            {'type': 'LinearLR', 'by_epoch': True, 'end': 5},
            {'type': 'CosineAnnealingLR', 'T_max': 295, 'begin': 5, 'end': 300},
            {'type': 'WarmupCosineLR', 'warmup': 5},
            {'type': 'MultiStepLR', 'milestones': [100, 250]},
        ),
        0.1,
    )
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (3000, 10)
    assert cfg.default_hooks.checkpoint.interval == 50
    assert cfg.param_scheduler == [
        {'type': 'LinearLR', 'by_epoch': True, 'end': 5},
        {'type': 'CosineAnnealingLR', 'T_max': 2995, 'begin': 5, 'end': 3000},
        {'type': 'WarmupCosineLR', 'warmup': 5},
        {'type': 'MultiStepLR', 'milestones': [1000, 2500]},
    ]


def test_end_of_a_scheduled_loss_weight_is_stretched():
    cfg = config()
    cfg.custom_hooks = [
        {'type': 'LossWeightHook', 'warmup_epochs': 20, 'total_epochs': 300},
        {'type': 'LossWeightHook'},  # ends with the training
        {'type': 'ProgressHook'},
    ]
    hooks = scale_epochs(cfg, 0.1).custom_hooks
    assert hooks[0] == {'type': 'LossWeightHook', 'warmup_epochs': 20, 'total_epochs': 3000}
    assert hooks[1:] == [{'type': 'LossWeightHook'}, {'type': 'ProgressHook'}]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (config(max_epochs=None), 'only training by epoch'),
        (config({'type': 'PolyLR', 'by_epoch': False, 'end': 9}), 'PolyLR counts iterations'),
        (config({'type': 'WarmupCosineLR', 'total': 600}), 'total=600, longer than the 300'),
    ],
)
def test_what_cannot_be_scaled(cfg, message):
    with pytest.raises(ValueError, match=message):
        scale_epochs(cfg, 0.5)


@pytest.mark.parametrize('fraction', [0, -1, 1.1])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match='fraction must lie within'):
        scaled_epochs(300, fraction)
