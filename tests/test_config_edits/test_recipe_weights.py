import pytest
import timm
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from vit_plugins.config_edits.recipe_weights import require_weights

VIT = {
    **{'type': 'VisionTransformer', 'img_size': 32, 'patch_size': 8},
    'arch': {'embed_dims': 32, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 64},
}
TIMM = {'img_size': 32, 'patch_size': 8, 'embed_dim': 32, 'depth': 2, 'num_heads': 2}
RETRIEVER = {'type': 'EmbeddingRetriever', 'backbone': VIT, 'neck': {'type': 'TokenPooling'}}


def config(model=None, **kwargs):
    head = {'type': 'VisionTransformerClsHead', 'num_classes': 3, 'in_channels': 32}
    model = model or {'type': 'ImageClassifier', 'backbone': dict(VIT), 'head': head}
    return Config({'model': model, **kwargs})


def pretrained(file, **kwargs):
    return {'type': 'Pretrained', 'checkpoint': str(file), **kwargs}


@pytest.fixture
def timm_file(tmp_path):
    model = timm.models.VisionTransformer(**TIMM, mlp_ratio=2)
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    return tmp_path / 'timm.pth'


@pytest.mark.parametrize('has', ['nothing', 'load_from', 'init_cfg', 'no need'])
def test_recipe_that_needs_weights(has, tmp_path):
    cfg = config(from_scratch='configs/other.py')
    if has == 'load_from':
        cfg.load_from = str(tmp_path / 'x.pth')
        (tmp_path / 'x.pth').touch()
    if has == 'init_cfg':
        torch.save(MODELS.build(VIT).state_dict(), tmp_path / 'x.pth')
        cfg.model.backbone.init_cfg = pretrained(tmp_path / 'x.pth')
    if has == 'no need':
        cfg.pop('from_scratch')
    if has == 'nothing':
        told = r'--pretrained convit-tiny_3rdparty_in1k for one, or .* with configs/other\.py'
        with pytest.raises(ValueError, match=told):
            require_weights(cfg)
    else:
        require_weights(cfg)


@pytest.mark.parametrize('several', [False, True])
def test_weights_of_other_names(timm_file, several):
    """The host loads 2 of 30 and only warns in its log."""
    cfg = config()
    cfg.model.backbone.init_cfg = pretrained(timm_file)
    if several:
        cfg.model.backbone.init_cfg = [
            {'type': 'Normal', 'layer': 'Linear'},
            pretrained(timm_file),
        ]
    told = r'^model\.backbone\.init_cfg: 2 of the 30 tensors .*timm\.pth \(not: patch_embed\.proj'
    with pytest.raises(ValueError, match=told):
        require_weights(cfg)


def test_weights_of_another_size(tmp_path):
    wide = {**VIT, 'arch': {**VIT['arch'], 'embed_dims': 48}}
    state = {
        f'backbone.{k}': v for k, v in MODELS.build(wide).state_dict().items()
    }  # the hidden biases fit
    torch.save({'state_dict': state}, tmp_path / 'wide.pth')
    cfg = config()
    cfg.model.init_cfg = pretrained(tmp_path / 'wide.pth')
    with pytest.raises(ValueError, match=r'^model\.init_cfg: 2 of the 30 tensors of the backbone'):
        require_weights(cfg)


@pytest.mark.parametrize('prefix', ['backbone.', 'backbone'])
def test_a_part_of_a_file(tmp_path, prefix):
    state = {f'backbone.{k}': v for k, v in MODELS.build(VIT).state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'x.pth')
    cfg = config()
    cfg.model.backbone.init_cfg = pretrained(tmp_path / 'x.pth', prefix=prefix)
    require_weights(cfg)
    cfg.model.backbone.init_cfg.prefix = 'encoder.'
    with pytest.raises(ValueError, match='0 of the 30 tensors'):
        require_weights(cfg)


def test_names_that_the_model_itself_knows(timm_file):
    require_weights(config({**RETRIEVER, 'init_cfg': pretrained(timm_file)}))


def test_file_that_is_not_there():
    cfg = config()
    cfg.model.backbone.init_cfg = pretrained('pretrained/x.pth')
    with pytest.raises(ValueError, match=r'not there: pretrained/x\.pth\n  no recipe of'):
        require_weights(cfg)


@pytest.mark.parametrize('where', ['load_from', 'backbone', 'deep'])
def test_weights_that_are_not_there(where):
    file = 'work_dirs/deit3-base-p16_32xb64-240e_in21k/epoch_240.pth'
    cfg = config()
    if where == 'load_from':
        cfg.load_from = file
    elif where == 'backbone':
        cfg.model.backbone.init_cfg = pretrained(file)
    else:
        cfg.model.backbone.patch_cfg = {'stem': {'type': 'X', 'init_cfg': pretrained(file)}}
    told = rf'not there: {file}\n  train it: .* configs/deit3/deit3-base-p16_32xb64-240e_in21k\.py'
    with pytest.raises(ValueError, match=told):
        require_weights(cfg)


def test_an_address_that_does_not_answer():
    told = r'load_from: http://127\.0\.0\.1:9/x\.pth cannot be read .*refused.* --pretrained FILE'
    with pytest.raises(ValueError, match=told):
        require_weights(config(load_from='http://127.0.0.1:9/x.pth'))
