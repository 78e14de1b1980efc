"""A test and a resumed training never hold out a photo that was used for training."""

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from PIL import Image

from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.seen_photos import keep_seen_in_training, leave_out_seen
from vit_plugins.datasets.trained_photos import TRAINED_ON, list_photos, write_trained_photos

PARTS = ('train', 'val', 'test')
CONFIG = dict(
    model=dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=18),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=8),
    ),
    **{
        f'{part}_dataloader': dict(
            batch_size=2, dataset=dict(type='ImageFolder', data_root='x', pipeline=[])
        )
        for part in PARTS
    },
)


def save(folder, start, stop):
    rng = np.random.default_rng(start)
    for name in ('cat', 'dog'):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(start, stop):
            picture = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype='uint8'))
            picture.save(folder / name / f'{i}.png')


def photos_of(cfg, part):
    dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
    return {dataset.get_data_info(i)['img_path'] for i in range(len(dataset))}


@pytest.fixture
def trained(tmp_path):
    """Return the config of a training on ten photos of each class, its photos and their table."""
    save(tmp_path / 'd', 0, 10)
    cfg = apply_data_root(Config(CONFIG), tmp_path / 'd', verify=False)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    (tmp_path / 'w').mkdir()
    write_trained_photos(tmp_path / 'w' / TRAINED_ON, list_photos(dataset, tmp_path / 'd'))
    cfg.load_from = str(tmp_path / 'w' / 'epoch_1.pth')
    return cfg, photos_of(cfg, 'train'), tmp_path / 'w' / TRAINED_ON


def test_resumed_training_keeps_the_photos_it_has_seen(trained, tmp_path):
    cfg, before, _ = trained
    assert keep_seen_in_training(cfg) == ''
    assert 'trained_on' not in cfg.train_dataloader.dataset
    save(tmp_path / 'd', 10, 40)
    assert photos_of(cfg, 'val') & before  # else this test shows nothing
    line = keep_seen_in_training(cfg)
    assert line.endswith('so they stay in the training')
    train, val = photos_of(cfg, 'train'), photos_of(cfg, 'val')
    assert before < train
    assert not train & val
    assert len(train | val) == 80


def test_a_resumed_fold_has_lost_no_photo(trained, tmp_path):
    cfg, _, table = trained
    for part in ('train', 'val'):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.update(group_by=r'\d', fold=(1, 3))
    write_trained_photos(
        table, list_photos(DATASETS.build(cfg.train_dataloader.dataset), tmp_path / 'd')
    )
    assert keep_seen_in_training(cfg) == ''


def test_the_test_of_a_training_leaves_out_what_it_has_seen(trained, tmp_path):
    cfg, before, table = trained
    held_out = photos_of(cfg, 'test')
    leave_out_seen(cfg, None)
    assert all('trained_on' not in cfg[f'{part}_dataloader'].dataset for part in PARTS)
    leave_out_seen(cfg, table)
    assert photos_of(cfg, 'test') == held_out
    save(tmp_path / 'd', 10, 40)
    assert not photos_of(cfg, 'test') & before
    assert not photos_of(cfg, 'val') & before
    assert before < photos_of(cfg, 'train')


@pytest.mark.parametrize('setting', ['val_fraction', 'balance'])
def test_settings_without_effect_on_a_test_are_refused(trained, tmp_path, setting):
    cfg, _, table = trained
    options = dict(classes=('cat', 'dog'), verify=False, asked={setting}, trained_on=table)
    with pytest.raises(ValueError, match=f'^{setting} would have no effect: '):
        apply_data_root(cfg, tmp_path / 'd', **options)


@pytest.mark.parametrize('place', ['the same folder', 'a moved one', 'another one'])
def test_a_named_folder_is_tested_on_as_far_as_it_is_new(trained, tmp_path, capsys, place):
    cfg, before, table = trained
    root = tmp_path / ('d' if place == 'the same folder' else 'e')
    if place == 'a moved one':
        (tmp_path / 'd').rename(root)
    if place == 'another one':
        save(root, 1000, 1010)
    options = dict(classes=('cat', 'dog'), verify=False, trained_on=table, val_fraction=0)
    tested = photos_of(apply_data_root(cfg, root, **options), 'test')
    assert len(tested) == (20 if place == 'another one' else 4)
    assert not tested & before
    others = '' if place == 'another one' else '; the model was trained on the other 16'
    told = f'test on {len(tested)} of the 20 images in {root}{others}\n'
    assert told in capsys.readouterr().out
