from pathlib import Path

import mmpretrain
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.model import PretrainedInit
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS

from vit_plugins.config_edits.pretrained import apply_pretrained

VIT = {
    **{'type': 'VisionTransformer', 'img_size': 32, 'patch_size': 8, 'out_type': 'cls_token'},
    'arch': {'embed_dims': 32, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 64},
}
CONVIT = {
    **{'type': 'ConViT', 'img_size': 32, 'patch_size': 8, 'num_local_layers': 1},
    'arch': {'embed_dims': 32, 'num_layers': 2, 'num_heads': 4, 'feedforward_channels': 128},
}
NORM = [{'type': 'TruncNormal', 'layer': 'Linear', 'std': 0.02}]  # as the recipes have it


def config(backbone=VIT, **kwargs):
    model = {
        'type': 'ImageClassifier',
        'backbone': dict(backbone),
        'head': {'type': 'VisionTransformerClsHead', 'num_classes': 3, 'in_channels': 32},
        'init_cfg': NORM,
    }
    optimizer = {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.05}
    return Config({'model': model, 'optim_wrapper': {'optimizer': optimizer}, **kwargs})


def started(cfg):
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


@pytest.fixture
def trained(tmp_path) -> Path:
    """Write a checkpoint like the host's, of a model with another number of classes."""
    cfg = config()
    cfg.model.head.num_classes = 7
    state = {k: torch.rand_like(v) for k, v in started(cfg).state_dict().items()}
    torch.save({'state_dict': state, 'meta': {}}, tmp_path / 'trained.pth')
    return tmp_path / 'trained.pth'


def test_backbone_is_loaded_and_the_classifier_is_new(trained):
    cfg = apply_pretrained(config(), str(trained))
    state = torch.load(trained)['state_dict']
    model = started(cfg)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, state[f'backbone.{name}']), name
    assert model.head.layers.head.weight.shape == (3, 32)
    assert model.head.layers.head.weight.std() < 0.03


def test_position_embedding_is_resized(trained):
    model = started(apply_pretrained(config({**VIT, 'img_size': 64}), str(trained)))
    assert model.backbone.pos_embed.shape == (1, 65, 32)
    state = torch.load(trained)['state_dict']
    assert torch.equal(model.backbone.pos_embed[:, :1], state['backbone.pos_embed'][:, :1])


@pytest.mark.parametrize('kind', ['.pth', '.safetensors', 'wrapped'])
@pytest.mark.parametrize('img_size', [32, 48])
def test_timm_and_official_convit(tmp_path, kind, img_size):
    settings = {'img_size': 32, 'patch_size': 8, 'embed_dim': 8, 'depth': 2, 'num_heads': 4}
    original = timm.models.convit.ConVit(**settings, local_up_to_layer=1, num_classes=5)
    state = {k: torch.rand_like(v) for k, v in original.state_dict().items()}
    path = tmp_path / ('x.safetensors' if kind == '.safetensors' else 'x.pth')
    if kind == '.safetensors':
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save({'model': state} if kind == 'wrapped' else state, path)
    backbone = started(
        apply_pretrained(config({**CONVIT, 'img_size': img_size}), str(path))
    ).backbone
    assert torch.equal(backbone.layers[0].attn.qk.weight, state['blocks.0.attn.qk.weight'])
    assert torch.equal(backbone.layers[1].attn.qkv.weight, state['blocks.1.attn.qkv.weight'])
    assert torch.equal(backbone.layers[0].attn.gating_param, state['blocks.0.attn.gating_param'])
    assert backbone.pos_embed.shape == (1, (img_size // 8) ** 2, 32)
    assert torch.equal(backbone.pos_embed, state['pos_embed']) == (img_size == 32)


def test_learning_rate_shrinks_from_layer_to_layer(trained):
    cfg = config()
    cfg.optim_wrapper.paramwise_cfg = {'norm_decay_mult': 0.0}
    model = started(apply_pretrained(cfg, str(trained), layer_decay=0.5))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {group['param_name']: group['lr'] for group in groups}
    assert rates['head.layers.head.weight'] == pytest.approx(0.1)
    assert rates['backbone.layers.1.attn.qkv.weight'] == pytest.approx(0.05)
    assert rates['backbone.layers.0.attn.qkv.weight'] == pytest.approx(0.025)
    assert rates['backbone.pos_embed'] == pytest.approx(0.0125)
    decay = {group['param_name']: group['weight_decay'] for group in groups}
    assert decay['backbone.layers.0.ln1.weight'] == 0


def test_without_layer_decay_the_optimizer_is_untouched(trained, capsys):
    cfg = apply_pretrained(config(), str(trained), layer_decay=None)
    assert cfg.optim_wrapper == config().optim_wrapper
    assert 'all layers learn at the rate of the config' in capsys.readouterr().out


def test_what_is_told(trained, capsys):
    cfg = config(load_from='other.pth')
    cfg.optim_wrapper.paramwise_cfg = {'custom_keys': {'.cls_token': {'lr_mult': 0.1}}}
    state = torch.load(trained)
    del state['state_dict']['backbone.cls_token']
    torch.save(state, trained)
    apply_pretrained(cfg, str(trained))
    told = capsys.readouterr().out
    assert f'of VisionTransformer from {trained}' in told
    assert 'random at the start: cls_token' in told
    assert 'load_from=other.pth is dropped' in told
    assert 'lr_mult of .cls_token has no effect' in told
    assert cfg.load_from is None


def test_a_backbone_without_depths_learns_at_one_rate(tmp_path, capsys):
    backbone = {'type': 'MobileNetV3', 'arch': 'small_050'}
    torch.save(MODELS.build(backbone).state_dict(), tmp_path / 'mobile.pth')
    cfg = apply_pretrained(config(backbone), str(tmp_path / 'mobile.pth'))
    assert 'MobileNetV3 does not know the depth of its layers' in capsys.readouterr().out
    assert 'constructor' not in cfg.optim_wrapper


def test_prefix_of_a_distributed_run(trained):
    state = torch.load(trained)['state_dict']
    torch.save({f'module.{key}': value for key, value in state.items()}, trained)
    model = started(apply_pretrained(config(), str(trained)))
    assert torch.equal(model.backbone.cls_token, state['backbone.cls_token'])


def test_weights_that_are_not_finite(trained):
    state = torch.load(trained)['state_dict']
    state['backbone.layers.0.ln1.bias'] *= float('nan')
    torch.save(state, trained)
    with pytest.raises(
        ValueError, match=r'are not finite \(layers\.0\.ln1\.bias\), of a training'
    ):
        apply_pretrained(config(), str(trained))


def test_weights_of_another_kind(tmp_path):
    torch.save({'conv1.weight': torch.zeros(1), 'fc.bias': torch.zeros(1)}, tmp_path / 'x.pth')
    told = r'0 of the 30 tensors .* x\.pth, .* Missing: cls_token, .* Left over: conv1\.weight\.'
    with pytest.raises(ValueError, match=told.replace('.* x', '.*x')):
        apply_pretrained(config(), str(tmp_path / 'x.pth'))


def timm_vit(tmp_path, **kwargs):
    """Write a file of timm's and return it with its state."""
    settings = {'img_size': 32, 'patch_size': 8, 'embed_dim': 32, 'depth': 2, 'num_heads': 2}
    model = timm.models.VisionTransformer(**{**settings, 'mlp_ratio': 2, **kwargs})
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    return tmp_path / 'timm.pth', model.state_dict()


@pytest.mark.parametrize(
    ('kwargs', 'told'),
    [
        ({'depth': 4}, r'30 of the 30 tensors .* 24 others .* Left over: layers\.2\.attn\.proj'),
        ({'depth': 1}, r'18 of the 30 tensors .* Missing: layers\.1\.attn\.proj'),
        ({'init_values': 1}, r'4 others .* Left over: layers\.0\.attn\.gamma1'),
    ],
    ids=['deeper', 'shallower', 'with LayerScale'],
)
def test_weights_that_fit_in_part(tmp_path, kwargs, told):
    path, _ = timm_vit(tmp_path, **kwargs)
    with pytest.raises(ValueError, match=told):
        apply_pretrained(config(), str(path))


def test_one_block_of_many_may_differ_a_little(tmp_path, capsys):
    path, _ = timm_vit(tmp_path, class_token=False, global_pool='avg', fc_norm=False)
    model = started(apply_pretrained(config(), str(path)))
    told = capsys.readouterr().out
    assert '29 of 30 tensors' in told
    assert 'random at the start: cls_token' in told
    assert 'has 0 positions before those of the patches in the file and 1 in' in told
    assert not model.backbone.pos_embed[:, 0].any()


@pytest.mark.parametrize('place', ['model', 'list', 'backbone', 'deep', 'class'])
def test_weights_of_the_recipe_do_not_come_over_them(trained, tmp_path, capsys, place):
    cfg = config()
    other = {k: torch.zeros_like(v) for k, v in started(config()).state_dict().items()}
    torch.save(other, tmp_path / 'other.pth')
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'other.pth')}
    if place == 'list':
        cfg.model.init_cfg = [*NORM, init_cfg]
    elif place == 'deep':
        cfg.model.head.init_cfg = init_cfg
    elif place == 'class':
        cfg.model.init_cfg = {**init_cfg, 'type': PretrainedInit}
    else:
        (cfg.model if place == 'model' else cfg.model.backbone).init_cfg = init_cfg
    cfg = apply_pretrained(cfg, str(trained))
    assert 'other.pth) is dropped' in capsys.readouterr().out
    state = torch.load(trained)['state_dict']
    model = started(cfg)
    assert torch.equal(model.backbone.cls_token, state['backbone.cls_token'])
    if place == 'list':
        assert cfg.model.init_cfg == NORM


def test_weights_named_in_the_old_way(trained):
    cfg = config()
    cfg.model.pretrained = 'other.pth'
    assert 'pretrained' not in apply_pretrained(cfg, str(trained)).model


def test_retriever_with_weights_of_its_own(tmp_path):
    """The published recipes of IRT name their weights in the model, which loads them last."""
    path, state = timm_vit(tmp_path)
    cfg = config()
    cfg.model = {
        **{'type': 'EmbeddingRetriever', 'backbone': VIT, 'neck': {'type': 'TokenPooling'}},
        'init_cfg': {'type': 'Pretrained', 'checkpoint': 'https://localhost:1/deit.pth'},
    }
    model = started(apply_pretrained(cfg, str(path)))
    assert torch.equal(model.backbone.cls_token, state['cls_token'])


@pytest.mark.parametrize(
    ('optimizer', 'expected'),
    [('AdamW', 0.01), ('SGD', 0), (torch.optim.AdamW, 0.01)],
)
def test_optimizer_without_weight_decay(trained, optimizer, expected):
    cfg = config()
    cfg.optim_wrapper.optimizer = {'type': optimizer, 'lr': 0.1}
    cfg = apply_pretrained(cfg, str(trained))
    groups = build_optim_wrapper(started(cfg), cfg.optim_wrapper).optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {expected}
    assert min(group['lr'] for group in groups) < 0.05


def test_optimizer_that_cannot_decay(trained, capsys):
    cfg = config()
    cfg.optim_wrapper.optimizer = {'type': 'Rprop', 'lr': 0.1}
    cfg = apply_pretrained(cfg, str(trained))
    assert 'Rprop has no weight_decay: all layers learn at' in capsys.readouterr().out
    assert 'constructor' not in cfg.optim_wrapper


def test_resnet_of_a_depth_that_the_host_does_not_know(tmp_path, capsys):
    backbone = {'type': 'ResNet', 'depth': 18, 'base_channels': 8, 'stem_channels': 8}
    torch.save(MODELS.build(backbone).state_dict(), tmp_path / 'x.pth')
    cfg = apply_pretrained(config(backbone), str(tmp_path / 'x.pth'))
    told = capsys.readouterr().out
    assert "the host's layer decay does not know the layers of ResNet of depth 18" in told
    assert 'constructor' not in cfg.optim_wrapper


def test_layer_decay_of_the_recipe_stays(trained):
    cfg = config()
    cfg.optim_wrapper.paramwise_cfg = {'layer_decay_rate': 0.5}
    assert apply_pretrained(cfg, str(trained)).optim_wrapper.paramwise_cfg.layer_decay_rate == 0.5


def test_model_without_backbone(trained):
    cfg = config()
    cfg.model = {'type': 'TimmClassifier', 'model_name': 'vit_tiny_patch16_224'}
    with pytest.raises(ValueError, match='TimmClassifier has no backbone in its config'):
        apply_pretrained(cfg, str(trained))


def test_file_that_cannot_be_read(tmp_path):
    (tmp_path / 'x.pth').write_bytes(b'PK\x03\x04cut')
    with pytest.raises(ValueError, match='not a whole checkpoint'):
        apply_pretrained(config(), str(tmp_path / 'x.pth'))
    torch.save([torch.zeros(1)], tmp_path / 'y.pth')
    with pytest.raises(ValueError, match='holds a list, not weights by name'):
        apply_pretrained(config(), str(tmp_path / 'y.pth'))


def test_weights_of_another_size(trained):
    backbone = {**VIT, 'arch': {**VIT['arch'], 'embed_dims': 48}}
    with pytest.raises(ValueError, match='does not fit this VisionTransformer: is it of another'):
        apply_pretrained(config(backbone), str(trained))


@pytest.mark.parametrize('factor', [0, -1, 1.5])
def test_layer_decay_out_of_range(trained, factor):
    with pytest.raises(ValueError, match=rf'within \(0, 1\], got {factor}'):
        apply_pretrained(config(), str(trained), layer_decay=factor)


def test_no_such_file_or_name():
    with pytest.raises(ValueError, match='convit-tinny'):
        apply_pretrained(config(), 'convit-tinny')


@pytest.mark.slow
def test_host_recipe_takes_its_own_weights(tmp_path):
    path = Path(mmpretrain.__file__).parent / '.mim/configs/resnet/resnet18_8xb16_cifar10.py'
    cfg = Config.fromfile(path)
    state = MODELS.build(cfg.model).state_dict()
    torch.save({'state_dict': state}, tmp_path / 'x.pth')
    model = started(apply_pretrained(cfg, str(tmp_path / 'x.pth')))
    assert torch.equal(model.backbone.conv1.weight, state['backbone.conv1.weight'])
