"""A fraction of the images in the same number of steps."""

from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.config_edits.fraction import use_fraction

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize(
    ('fraction', 'epochs', 'interval'),
    [(0.05, 6000, 20), (0.1, 3000, 10), (0.3, 1000, 3), (0.5, 600, 2)],
)
@pytest.mark.parametrize('net', ['convit', 'deit'])
def test_sample_efficiency_of_convit(net, fraction, epochs, interval):
    """Table 2 of ConViT: 300 / fraction epochs, the warm-up stays at 5."""
    before = Config.fromfile(CONFIGS / f'convit/{net}-small_8xb128_in1k.py')
    after = use_fraction(deepcopy(before), fraction)
    dataset = after.train_dataloader.dataset
    assert (dataset.type, dataset.fraction, dataset.mode) == ('ClassSubset', fraction, 'first')
    assert dataset.dataset == before.train_dataloader.dataset
    assert after.train_cfg.max_epochs == epochs
    assert after.train_cfg.val_interval == interval
    assert after.default_hooks.checkpoint.interval == interval
    assert after.param_scheduler[0].warmup == 5
    assert after.test_dataloader == before.test_dataloader


def test_all_images_and_steps_in_place_of_epochs():
    cfg = Config.fromfile(CONFIGS / 'vit/vit-base-p16_in21k-pre_8xb64-10k-384px.py')
    assert use_fraction(deepcopy(cfg), 1).to_dict() == cfg.to_dict()
    tenth = use_fraction(deepcopy(cfg), 0.1, 'random')
    assert tenth.train_dataloader.dataset.mode == 'random'
    assert tenth.train_cfg == cfg.train_cfg


def test_what_cannot_be():
    cfg = Config.fromfile(CONFIGS / 'drloc/swin-tiny_8xb128-100e.py')
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match='--fraction must lie within'):
            use_fraction(deepcopy(cfg), fraction)
    with pytest.raises(ValueError, match=r"--subset must be one of first, random, got 'last'"):
        use_fraction(deepcopy(cfg), 0.5, 'last')
    with pytest.raises(ValueError, match='total=300, longer than the 100 epochs'):
        use_fraction(deepcopy(cfg), 0.5)
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='no training images to take a part of'):
        use_fraction(cfg, 0.5)
