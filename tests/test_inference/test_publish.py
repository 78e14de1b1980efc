"""A published folder contains the weights that a test would use, and loads by name."""

import hashlib
import json

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ModelHub
from mmpretrain.registry import MODELS

from vit_plugins.inference.publish import chosen_weights, logged_metrics, publish_model
from vit_plugins.weights.index import register_published
from vit_plugins.weights.newest_checkpoint import find_trained


@pytest.fixture
def work_dir(tmp_path, config, drloc_classifier):
    """Return the work dir of a training with averaged weights."""
    folder = tmp_path / 'work'
    (folder / '2026' / 'vis_data').mkdir(parents=True)
    cfg = config()
    cfg.model = drloc_classifier
    cfg.work_dir, cfg.default_scope = str(folder), 'mmpretrain'
    cfg.dump(str(folder / 'tiny.py'))
    average = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    last = {f'module.{key}': value + 1.0 for key, value in average.state_dict().items()}
    torch.save(
        {
            'state_dict': average.state_dict(),
            'ema_state_dict': {'steps': torch.tensor(3), **last},
            'optimizer': {'state': torch.zeros(10_000)},
            'meta': {'epoch': 2, 'iter': 46, 'dataset_meta': {'classes': tuple('0123456789')}},
        },
        folder / 'epoch_2.pth',
    )
    rows = [
        {'accuracy/top1': 50.0, 'time': 1.0, 'step': 1},
        {'lr': 0.1, 'loss': 2.0, 'step': 2},
        {'accuracy/top1': 75.5, 'time': 1.0, 'data_time': 0.1, 'step': 2},
        {'accuracy/top1': 60.0, 'step': 3},
    ]
    log = folder / '2026' / 'vis_data' / 'scalars.json'
    log.write_text('\n'.join(map(json.dumps, rows)))
    return folder


def publish(work_dir, out, **settings):
    return publish_model(*find_trained(work_dir), out, licence='CC0-1.0', **settings)


def test_slim_weights_carry_their_digest_and_no_training_state(work_dir, tmp_path):
    published = publish(work_dir, tmp_path / 'out')
    digest = hashlib.sha256(published.weights.read_bytes()).hexdigest()
    assert published.weights.name == f'tiny-{digest[:8]}.pth'
    content = torch.load(published.weights, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert not [name for name in content['state_dict'] if 'drloc' in name]
    average = torch.load(work_dir / 'epoch_2.pth', weights_only=False)['state_dict']
    token = 'backbone.cls_token'
    assert torch.equal(content['state_dict'][token], average[token])
    assert published.metrics == {'accuracy/top1': 75.5}


def test_raw_weights_are_those_of_the_last_step(work_dir, tmp_path):
    published = publish(work_dir, tmp_path / 'out', raw=True, name='raw-one')
    state = torch.load(published.weights, weights_only=True)['state_dict']
    average = torch.load(work_dir / 'epoch_2.pth', weights_only=False)['state_dict']
    torch.testing.assert_close(state['backbone.cls_token'], average['backbone.cls_token'] + 1)
    assert 'of the last step' in (published.folder / 'README.md').read_text()


def test_raw_weights_of_a_training_without_average_are_refused():
    with pytest.raises(
        ValueError, match='--raw would have no effect: this training averaged no weights'
    ):
        chosen_weights({'state_dict': {}}, raw=True)


def test_card_says_what_a_user_needs(work_dir, tmp_path):
    published = publish(work_dir, tmp_path / 'out')
    card = (published.folder / 'README.md').read_text(encoding='utf-8')
    for words in (
        '| data | Digits |',
        '| classes | 10: 0, 1, 2',
        'averaged over the training (EMA)',
        '| licence | CC0-1.0 |',
        '| accuracy/top1 | 75.5 |',
        '2 epochs, 46 steps',
        'vit-plugins predict out PHOTO',
        "type='DRLocHead'",
    ):
        assert words in card
    assert 'work_dir' not in Config.fromfile(published.folder / 'tiny.py')


def test_the_folder_is_found_like_a_work_dir(work_dir, tmp_path):
    published = publish(work_dir, tmp_path / 'out')
    assert find_trained(published.folder) == (published.folder / 'tiny.py', published.weights)


def test_a_model_loads_by_name(work_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(ModelHub, '_models_dict', dict(ModelHub._models_dict))
    published = publish(work_dir, tmp_path / 'out', name='my-digits')
    moved = published.folder.rename(tmp_path / 'moved')
    assert register_published(moved) == ['my-digits']
    model = mmpretrain.get_model('my-digits', pretrained=True)
    average = torch.load(work_dir / 'epoch_2.pth', weights_only=False)['state_dict']
    assert torch.equal(model.backbone.cls_token, average['backbone.cls_token'])
    with pytest.raises(ValueError, match='my-digits is conflict'):
        register_published(moved)


def test_messages(work_dir, tmp_path):
    with pytest.raises(ValueError, match='is not empty: give a new folder'):
        publish(work_dir, work_dir)
    with pytest.raises(FileNotFoundError, match=r'holds no model-index\.yml'):
        register_published(tmp_path)


def test_metrics_of_a_run_without_logs(tmp_path):
    assert logged_metrics(tmp_path, {'epoch': 1, 'iter': 1}) == {}
