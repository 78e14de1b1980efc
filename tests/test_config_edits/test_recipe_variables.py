"""Variables of a recipe: a new value applies wherever they are read, or is refused."""

from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.config_edits.recipe_variables import (
    UnusedSettingError,
    apply_options,
    unread_names,
)

CONFIGS = Path(__file__).parents[2] / 'configs'
FOLDER = CONFIGS / 'convit_drloc_folder.py'


def test_a_name_of_the_recipe_is_set_wherever_it_is_read():
    before = Config.fromfile(FOLDER)
    cfg = apply_options(before, {'size': 64, 'train_cfg.max_epochs': 4})
    assert cfg.filename == before.filename
    assert cfg.model.backbone.img_size == 64
    assert cfg.train_dataloader.dataset.pipeline[1].scale == 64
    assert cfg.val_dataloader.dataset.pipeline[1].scale == 64 * 8 // 7
    assert cfg.val_dataloader.dataset.pipeline[2].crop_size == 64
    assert cfg.train_cfg.max_epochs == 4
    assert cfg.optim_wrapper == before.optim_wrapper


def test_also_where_a_child_reads_it_of_its_base():
    cfg = apply_options(Config.fromfile(CONFIGS / 'convit_drloc_3aug_folder.py'), {'size': 64})
    assert cfg.train_dataloader.dataset.pipeline[1].crop_size == 64
    assert cfg.model.backbone.img_size == 64


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('train_pipeline.1.scale', r'value stands in train_dataloader\.dataset\.pipeline: set it'),
        ('lr', r'no such setting; did you mean optim_wrapper\.optimizer\.lr'),
        ('max_epochs', r'no such setting; did you mean train_cfg\.max_epochs'),
        ('optim_wraper.optimizer.lr', "did you mean 'optim_wrapper'"),
        ('sizes', "did you mean 'size'"),
        ('purple', 'no such setting$'),
    ],
)
def test_what_would_have_no_effect_is_refused(name, message):
    with pytest.raises(UnusedSettingError, match=message):
        apply_options(Config.fromfile(FOLDER), {name: 3})


def test_in_a_config_that_a_run_has_written_names_of_the_recipe_are_refused(tmp_path):
    cfg = Config.fromfile(FOLDER)
    cfg.dump(tmp_path / 'written.py')
    written = Config.fromfile(tmp_path / 'written.py')
    assert unread_names(written) == []
    told = r'size: nothing reads it .* value stands in model\.backbone\.img_size'
    with pytest.raises(UnusedSettingError, match=told):
        apply_options(written, {'size': 64})


def test_settings_of_the_runner_and_of_the_tools_are_merged():
    cfg = apply_options(
        Config.fromfile(FOLDER), {'balance': 'loss', 'resume': True, 'model.backbone.arch': 'base'}
    )
    assert (cfg.balance, cfg.resume, cfg.model.backbone.arch) == ('loss', True, 'base')
