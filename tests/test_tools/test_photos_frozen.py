"""``train photos-frozen`` with a tiny network: a normal work dir, and kept features."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from vit_plugins.command_line.commands import train as train_command
from vit_plugins.engine import feature_cache
from vit_plugins.engine.loops.frozen_feature_loop import FrozenFeatureLoop
from vit_plugins.inference.classify import Classifier

ROOT = Path(__file__).parents[2]
BACKBONE = dict(
    type='VisionTransformer',
    img_size=16,
    patch_size=8,
    arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32),
)
CONFIG = """
_base_ = '{root}/configs/photos-frozen.py'
experiment_name = __import__('uuid').uuid4().hex  # runs of the same second share nothing
default_weights = None
backbone_follows = False
model = dict(
    backbone=dict(_delete_=True, **{backbone!r}), neck=None, head=dict(in_channels=32))
default_hooks = dict(report_page=None)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory, write_shades):
    """Write photos of three shades, weights of a tiny ViT and a config; set its own cache."""
    folder = tmp_path_factory.mktemp('frozen')
    torch.manual_seed(0)
    write_shades(folder / 'photos')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(dict(BACKBONE))
    torch.save(backbone.state_dict(), folder / 'tiny.pth')
    (folder / 'tiny.py').write_text(CONFIG.format(root=ROOT, backbone=BACKBONE))
    return folder


@pytest.fixture(scope='module')
def train(folder, train_tool):
    """Train the tiny network into a folder; return the log."""

    def run(name, *words):
        shared = ['--data-root', folder / 'photos', '--img-size', 16, '--workers', 0]
        weights = ['--pretrained', folder / 'tiny.pth', '--work-dir', folder / name]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('XDG_CACHE_HOME', str(folder / 'cache'))
            train_tool.main([*map(str, [folder / 'tiny.py', *shared, *weights, *words])])
        return max((folder / name).glob('*/*.log'), key=os.path.getmtime).read_text()

    return run


@pytest.fixture(scope='module')
def first(train):
    return train('w', '--no-baselines')


def outcome(folder):
    return np.array(json.loads((folder / 'outcome.json').read_text())['confusion'])


def test_the_work_dir_is_that_of_any_training(folder, first):
    assert {'epoch_1.pth', 'report.txt', 'tiny.py'} <= {p.name for p in (folder / 'w').iterdir()}
    assert '24 images to train on, 6 to validate; 1 epoch, 2 steps of 32' in first
    assert 'by cross-validation on 24 of the training images' in first
    report = (folder / 'w' / 'report.txt').read_text()
    right = re.search(r'accuracy \d+\.\d % \((\d) of 6 images', report)
    assert int(right[1]) >= 5  # shades differ by three deviations
    assert f'vit-plugins predict {folder / "w"} NEW_PHOTOS' in report


def test_the_saved_model_has_the_scores_of_the_features(folder, first):
    """The training validates cached features; the saved model reads the photos again."""
    model = Classifier(folder / 'w')
    confusion = np.zeros((3, 3), int)
    held_out = [Path(p) for p in held_out_photos(folder)]
    for path, found in zip(held_out, model(held_out), strict=True):
        confusion[model.classes.index(path.parent.name), model.classes.index(found.label)] += 1
    assert confusion.sum() == 6
    assert (confusion == outcome(folder / 'w')).all()


def held_out_photos(folder):
    from mmengine.config import Config
    from mmpretrain.registry import DATASETS

    dataset = DATASETS.build(Config.fromfile(folder / 'w' / 'tiny.py').val_dataloader.dataset)
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


@pytest.mark.slow
def test_a_finished_run_is_resumed_and_keeps_its_head(folder, first, train):
    before = torch.load(folder / 'w' / 'epoch_1.pth')['state_dict']['head.fc.weight']
    train('w', '--no-baselines', '--resume')
    (folder / 'cache').rename(folder / 'kept')  # the features are gone, too
    train('w', '--no-baselines', '--resume')
    shutil.rmtree(folder / 'cache')
    (folder / 'kept').rename(folder / 'cache')
    after = torch.load(folder / 'w' / 'epoch_1.pth')['state_dict']['head.fc.weight']
    assert torch.equal(before, after)


@pytest.mark.slow
def test_a_new_photo_alone_is_encoded_and_a_doubled_one_counts_twice(folder, first, train):
    photos = sorted((folder / 'photos' / 'dark').iterdir())
    added = [folder / 'photos' / 'dark' / name for name in ('90.png', '91.png')]
    shutil.copyfile(photos[0], added[0])
    added[1].symlink_to(photos[1])
    try:
        log = train('more', '--no-baselines')
    finally:
        for path in added:
            path.unlink()
    assert '26 images to train on' in log
    # the link has the key of its photo, whichever part that is in
    assert re.search(r'2[2-5] of 26 images \(train\) were encoded before', log)


def test_a_rank_without_photos_encodes_none(folder, first, completed):
    loop = built_loop(completed())
    assert [len(part) for part in loop._encode_share('train', [])] == [0, 0]
    loop._keep(['a', 'b'], torch.ones(2, 32))
    loop._keep(['b', 'c'], torch.ones(2, 32))  # one is known
    with pytest.raises(ValueError, match='delete that file'):
        loop._keep(['d', 'c'], torch.zeros(2, 32))


def test_pipelines_that_differ_are_refused(folder, first, completed):
    cfg = completed()
    cfg.train_dataloader.dataset.pipeline.insert(1, dict(type='RandomFlip', prob=0.5))
    with pytest.raises(ValueError, match='set the pipeline of train_dataloader to that of val'):
        built_loop(cfg)


def built_loop(cfg):
    cfg.default_hooks = {name: hook for name, hook in cfg.default_hooks.items() if hook}
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    runner._train_loop._prepare()
    return runner._train_loop


@pytest.mark.slow
def test_another_classifier_encodes_no_photo_again(folder, first, train):
    log = train('means', '--classifier', 'nearest-mean', '--no-baselines')
    assert '24 of 24 images (train) were encoded before' in log
    assert '6 of 6 images (val) were encoded before' in log
    assert 'nearest-mean classifier on 32 features: sharpness' in log
    weights = [torch.load(folder / w / 'epoch_1.pth')['state_dict'] for w in ('w', 'means')]
    assert torch.equal(weights[0]['backbone.cls_token'], weights[1]['backbone.cls_token'])
    assert not torch.equal(weights[0]['head.fc.weight'], weights[1]['head.fc.weight'])


@pytest.fixture
def completed(folder, train_tool):
    def complete(*words, recipe=folder / 'tiny.py'):
        shared = ['--data-root', folder / 'photos', '--img-size', 16, '--no-verify']
        words = [recipe, *shared, '--pretrained', folder / 'tiny.pth', *words]
        return train_command.complete_config(train_tool.parse_args([*map(str, words)]))

    return complete


@pytest.mark.parametrize(
    'words', [['--epochs', 5], ['--lr', 0.1], ['--time-limit', '20m'], ['--amp'],
              ['--balance', 'sampler'], ['--balance', 'loss', '--classifier', 'nearest-mean']]
)  # fmt: skip
def test_what_a_frozen_network_has_no_use_for_is_refused(completed, words):
    told = rf'{words[0]}.* would have no effect: (this recipe encodes each|the mean of a class)'
    with pytest.raises(SystemExit, match=told):
        completed(*words)


def test_penalty_and_classifier(completed):
    cfg = completed('--penalty', 0.5, '--batch-size', 8, '--seed', 3, '--balance', 'loss')
    assert (cfg.train_cfg.penalty, cfg.train_dataloader.batch_size) == (0.5, 8)
    assert cfg.optim_wrapper.optimizer.lr == 1.0
    assert cfg.randomness.seed == 3
    assert len(cfg.model.head.loss.class_weight) == 3
    with pytest.raises(SystemExit, match=r'--penalty must be positive, and belongs to .* linear'):
        completed('--classifier', 'nearest-mean', '--penalty', 1)
    with pytest.raises(SystemExit, match=r'--balance loss would have no effect: the mean'):
        completed('--classifier', 'nearest-mean', '--balance', 'loss')
    with pytest.raises(SystemExit, match=r'--classifier: this recipe trains a network'):
        completed('--classifier', 'linear', recipe='convit_drloc_folder')


@pytest.mark.slow
def test_features_that_are_not_those_of_the_model_are_noticed(folder, first, train):
    (file,) = (folder / 'cache' / 'vit_plugins' / 'frozen_features').glob('*.npz')
    whole = file.read_bytes()
    with np.load(file) as found:
        kept = dict(found)
    np.savez(file, photos=kept['photos'], features=kept['features'] + 1)
    with pytest.raises(ValueError, match=r'not those that the model computes now: delete'):
        train('changed', '--no-baselines')
    file.write_bytes(whole)


def test_a_changed_photo_is_another(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(b'1')
    before = feature_cache.photo_key({'img_path': path}, 'train 0')
    assert before == feature_cache.photo_key({'img_path': path}, 'val 7')
    path.write_bytes(b'22')
    assert feature_cache.photo_key({'img_path': path}, 'train 0') != before
    assert feature_cache.photo_key({}, 'train 0') == 'no file: train 0'


def test_damaged_and_unwritable_caches_cost_a_second_computation(tmp_path, monkeypatch):
    damaged = tmp_path / 'x.npz'
    damaged.write_bytes(b'PK\x03\x04 cut short')
    cache = feature_cache.FeatureCache(damaged)
    cache.add(['a', 'no file: b'], torch.ones(2, 3))
    cache.save()
    again = feature_cache.FeatureCache(damaged)
    assert 'a' in again
    assert 'no file: b' not in again
    assert torch.equal(again.get(['a']), torch.ones(1, 3))
    cache = feature_cache.FeatureCache(tmp_path / 'x.npz' / 'below_a_file.npz')
    cache.add(['a'], torch.ones(1, 3))
    said = []
    monkeypatch.setattr(feature_cache, 'print_log', said.append)
    cache.save()
    assert 'not kept for another training' in said[0]


@pytest.mark.slow
def test_what_a_stopped_run_has_encoded_is_kept(folder, first, train, monkeypatch):
    shutil.move(folder / 'cache', folder / 'kept')
    encode = FrozenFeatureLoop.run_iter

    def stopped(loop, number, batch):
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return encode(loop, number, batch)

    words = ['stopped', '--no-baselines', '--batch-size', 8]
    monkeypatch.setattr(FrozenFeatureLoop, 'run_iter', stopped)
    with pytest.raises(SystemExit, match='130'):
        train(*words)
    monkeypatch.undo()
    log = train(*words, '--resume')
    shutil.rmtree(folder / 'cache')
    shutil.move(folder / 'kept', folder / 'cache')
    assert '8 of 24 images (train) were encoded before' in log
    assert (folder / 'stopped' / 'epoch_1.pth').is_file()
