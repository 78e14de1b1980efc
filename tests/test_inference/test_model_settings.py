"""Settings of a model as data: the same model comes back, and no code with it."""

import json

import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS

from vit_plugins.inference.model_settings import config_of, settings_of


def through_json(settings):
    return json.loads(json.dumps(settings))


def test_the_same_model_and_pipeline_come_back(config):
    cfg = config()
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type='CenterCrop', crop_size=(20, 12)))
    cfg.model.type = ImageClassifier  # a class, as in configs of the new style
    back = config_of(through_json(settings_of(cfg)))
    assert back.model.type == 'ImageClassifier'
    crop = back.test_dataloader.dataset.pipeline[1]  # behind the loader of photos
    assert (crop.type, crop.crop_size) == ('CenterCrop', (20, 12))
    assert isinstance(crop.crop_size, tuple)
    first, second = (MODELS.build(one.model) for one in (cfg, back))
    second.load_state_dict(first.state_dict())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(first.eval()(images), second.eval()(images))
    assert settings_of(back) == settings_of(cfg)  # it can be written again


def test_names_with_a_module_become_registered_ones(config):
    cfg = config()
    cfg.model.type = 'mmpretrain.models.ImageClassifier'
    assert settings_of(cfg)['model']['type'] == 'ImageClassifier'
    cfg.model.type = 'pathlib.Path'
    with pytest.raises(ValueError, match=r'pathlib\.Path is not registered with MMP'):
        settings_of(cfg)


def test_what_json_cannot_hold_is_refused(config):
    cfg = config()
    cfg.model.backbone.scale = torch.zeros(3)
    with pytest.raises(ValueError, match=r'model.backbone.scale is of type Tensor, which a gall'):
        settings_of(cfg)
    cfg.model.backbone.scale = {3: 4}
    with pytest.raises(ValueError, match=r'model.backbone.scale has the key 3'):
        settings_of(cfg)


@pytest.mark.parametrize(
    'part',
    [
        {'type': 'os.system', 'command': 'true'},
        {'type': 'mmpretrain.get_model'},
        {'type': 'evil.ImageClassifier'},
        {'type': ['ImageClassifier']},
    ],
)
def test_types_that_are_not_registered_are_refused(config, part):
    settings = through_json(settings_of(config()))
    settings['model']['backbone'] = part
    with pytest.raises(ValueError, match=r'gallery names .* \(model.backbone.type\), which is no'):
        config_of(settings)


@pytest.mark.parametrize('part', [{'_scope_': 'evil'}, {'trust_remote_code': True}])
def test_other_ways_to_code_are_refused(config, part):
    settings = through_json(settings_of(config()))
    settings['pipeline'][0] |= part
    with pytest.raises(
        ValueError, match=r'make pipeline.0 run code of other people: use --config'
    ):
        config_of(settings)


def test_a_real_config_is_read_only_from_files_that_are_named(config, tmp_path):
    settings = settings_of(config())
    assert isinstance(config_of(settings), Config)
    assert config_of(settings).filename is None
