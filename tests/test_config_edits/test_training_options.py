"""What the options of a training change in a recipe, and which errors they raise."""

from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.config_edits.batch_size import set_batch_size
from vit_plugins.config_edits.epoch_count import set_epochs
from vit_plugins.config_edits.img_size import set_img_size
from vit_plugins.config_edits.learning_rate import set_lr
from vit_plugins.config_edits.seed import set_seed
from vit_plugins.config_edits.time_limit import parse_time, set_time_limit
from vit_plugins.config_edits.walking import image_size
from vit_plugins.config_edits.workers import set_workers

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def cfg():
    return Config.fromfile(CONFIGS / 'convit_drloc_folder.py')


@pytest.fixture
def similar():
    return Config.fromfile(CONFIGS / 'similar.py')


def test_schedules_keep_their_shares_of_the_epochs():
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=100, val_interval=20),
            default_hooks=dict(checkpoint=dict(interval=5)),
            custom_hooks=[dict(type='SwitchRecipeHook', schedule=[dict(action_epoch=80)])],
            param_scheduler=[
                dict(type='LinearLR', end=10),
                dict(type='CosineAnnealingLR', begin=10, T_max=90, end=100),
                dict(type='MultiStepLR', milestones=[50, 90]),
                dict(type='WarmupCosineLR', warmup=5),
            ],
        )
    )
    set_epochs(cfg, 10)
    assert cfg.train_cfg == dict(max_epochs=10, val_interval=10)
    assert cfg.default_hooks.checkpoint.interval == 5
    assert cfg.custom_hooks[0].schedule[0].action_epoch == 8
    assert cfg.param_scheduler == [
        dict(type='LinearLR', end=1),
        dict(type='CosineAnnealingLR', begin=1, T_max=9, end=10),
        dict(type='MultiStepLR', milestones=[5, 9]),
        dict(type='WarmupCosineLR', warmup=0.5, convert_to_iter_based=True),
    ]


def test_epochs_of_a_recipe_that_counts_steps_are_refused(cfg, similar):
    with pytest.raises(ValueError, match=r'counts steps, not epochs \(max_iters=2000\)'):
        set_epochs(similar, 5)
    with pytest.raises(ValueError, match=r'--epochs must be at least 1, got 0'):
        set_epochs(cfg, 0)
    cfg.param_scheduler[0].by_epoch = False
    with pytest.raises(ValueError, match=r'WarmupCosineLR of this recipe counts steps'):
        set_epochs(cfg, 5)


def test_learning_rate_takes_the_rates_of_the_schedule_along(cfg):
    set_lr(cfg, 1e-3)
    assert cfg.optim_wrapper.optimizer.lr == 1e-3
    assert (cfg.param_scheduler[0].warmup_lr, cfg.param_scheduler[0].eta_min) == (2e-6, 2e-5)


@pytest.mark.parametrize('lr', [0, -1, float('nan'), float('inf')])
def test_impossible_learning_rates(cfg, lr):
    with pytest.raises(ValueError, match=r'--lr must be a positive number'):
        set_lr(cfg, lr)


def test_learning_rate_without_an_optimizer(cfg):
    cfg.optim_wrapper = dict(one=dict(optimizer=dict(lr=1)), two=dict(optimizer=dict(lr=2)))
    with pytest.raises(ValueError, match=r'has no single optimizer'):
        set_lr(cfg, 0.1)
    with pytest.raises(ValueError, match=r'has no single optimizer; give --lr'):
        set_batch_size(cfg, 8)


def test_batch_size_takes_the_learning_rate_along(cfg):
    set_batch_size(cfg, 16)
    sizes = [cfg[f'{part}_dataloader'].batch_size for part in ('train', 'val', 'test')]
    assert sizes == [16] * 3
    assert cfg.optim_wrapper.optimizer.lr == 1.25e-4  # 5e-4 for 64
    assert cfg.auto_scale_lr.base_batch_size == 16
    set_batch_size(cfg, 32, scale_lr=False)
    assert cfg.optim_wrapper.optimizer.lr == 1.25e-4


def test_batch_size_of_a_sampler_of_classes(cfg, similar):
    set_batch_size(similar, 32)
    assert similar.train_dataloader.sampler.batch_size == 32
    with pytest.raises(ValueError, match=r'puts 4 images of a class .* multiple of 4'):
        set_batch_size(similar, 30)
    with pytest.raises(ValueError, match=r'--batch-size must be at least 1, got 0'):
        set_batch_size(cfg, 0)
    cfg.train_dataloader.batch_sampler = dict(type='Own')
    with pytest.raises(ValueError, match=r'composes its batches itself \(Own\)'):
        set_batch_size(cfg, 8)


@pytest.mark.parametrize(
    ('name', 'size'),
    [('photos', 160), ('photos-scratch', 96), ('convit_drloc_folder', 64)],
)
def test_pipelines_and_model_follow_the_image_size(name, size):
    cfg = set_img_size(Config.fromfile(CONFIGS / f'{name}.py'), size, {'load_from': 'x.pth'})
    assert image_size(cfg) == size
    assert cfg.model.backbone.get('img_size', size) == size
    shown = cfg.test_dataloader.dataset.pipeline[1].scale
    assert shown == ((size, size) if name == 'photos-scratch' else size * 8 // 7)
    assert cfg.load_from == 'x.pth'


@pytest.mark.parametrize(
    ('size', 'options', 'told'),
    [
        (8, {}, r'at least 16 pixels, got 8'),
        (100, {}, r'patches of 16 pixels, .* multiple of 16, 96 for one'),
        (96, {'size': 64}, r'--img-size 96 and --cfg-options size=64: give one of them'),
        (96, {'nonsense': 1}, r'--img-size 96: --cfg-options nonsense: no such setting'),
    ],
)
def test_image_sizes_that_cannot_be(cfg, size, options, told):
    with pytest.raises(ValueError, match=told):
        set_img_size(cfg, size, options)


def test_recipe_without_a_size(similar, tmp_path):
    with pytest.raises(ValueError, match=r'no `size` from which its pipelines'):
        set_img_size(similar, 160)
    file = tmp_path / 'own.py'
    file.write_text('size = 32\nwidth = size\nmodel = dict(backbone=dict(img_size=64))\n')
    with pytest.raises(ValueError, match=r'do not follow `size`. Set the sizes'):
        set_img_size(Config.fromfile(file), 48)


def test_seed(cfg):
    cfg.randomness.deterministic = True
    assert set_seed(cfg, 7).randomness == dict(seed=7, deterministic=True)
    with pytest.raises(ValueError, match=r'--seed must lie between 0 and'):
        set_seed(cfg, -1)


def test_workers(cfg):
    cfg.val_dataloader.persistent_workers = True
    set_workers(cfg, 0)
    assert cfg.train_dataloader.num_workers == cfg.test_dataloader.num_workers == 0
    assert 'persistent_workers' not in cfg.val_dataloader
    with pytest.raises(ValueError, match=r'--workers must be 0 or more'):
        set_workers(cfg, -1)


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [('20m', 1200), ('1h30m', 5400), ('90s', 90), ('45', 45), (45, 45), ('0.5h', 1800)],
)
def test_durations(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize('text', ['', 'soon', '20 minutes', '0m', '-5m', 'm'])
def test_no_durations(text):
    with pytest.raises(ValueError, match=r'write it as 20m, 1h30m or 90s'):
        parse_time(text)


def test_time_limit(cfg):
    assert set_time_limit(cfg, 60).custom_hooks == [dict(type='TimeBudgetHook', seconds=60)]
    with pytest.raises(ValueError, match=r'has a TimeBudgetHook of its own'):
        set_time_limit(cfg, 60)
