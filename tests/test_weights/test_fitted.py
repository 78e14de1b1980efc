"""Features of timm's models, with timm's weights in the host's and our backbones."""

import pytest
import timm
import torch
from mmpretrain.registry import MODELS

from vit_plugins.weights.fitted import (
    Fitted,
    change_extra_tokens,
    find_weights,
    flatten,
    load_from_fitted,
    resize_bias_table,
)
from vit_plugins.weights.names.swin import reorder_merging

VIT = {'img_size': 32, 'patch_size': 8, 'embed_dim': 24, 'depth': 2, 'num_heads': 2}
ARCH = {'embed_dims': 24, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 96}
HOST_VIT = {'type': 'VisionTransformer', 'img_size': 32, 'patch_size': 8, 'arch': ARCH}
SWIN = {'img_size': 64, 'window_size': 2, 'embed_dim': 8, 'depths': (2, 2, 2, 2)}
HOST_SWIN = {
    **{'type': 'SwinTransformer', 'img_size': 64, 'window_size': 2},
    'arch': {'embed_dims': 8, 'depths': [2, 2, 2, 2], 'num_heads': [1, 2, 4, 8]},
}
NAME_OF_BIAS = 'stages.1.blocks.0.attn.w_msa.relative_position_bias_table'
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def random(model):
    """Set every weight of a model to a different value, batch norm statistics included."""
    generator = torch.Generator().manual_seed(1)
    state = {
        k: torch.rand(v.shape, generator=generator) * 0.4 + 0.1 if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    signs = {k: v - 0.3 if 'running_var' not in k else v for k, v in state.items()}
    model.load_state_dict(
        {k: v if state[k].is_floating_point() else state[k] for k, v in signs.items()}
    )
    return model.eval()


def vit(**kwargs):
    return random(timm.models.VisionTransformer(**{**VIT, **kwargs}))


def swin(**kwargs):
    return random(timm.models.SwinTransformer(**{**SWIN, 'num_heads': (1, 2, 4, 8), **kwargs}))


def loaded(backbone, checkpoint):
    """Load all found weights into a backbone."""
    backbone = MODELS.build(backbone)
    weights = find_weights(backbone, checkpoint).take(checkpoint)
    missing = backbone.load_state_dict(
        {k: v for k, v in weights.items() if k in backbone.state_dict()}, strict=False
    ).missing_keys
    assert all(key.endswith('relative_position_index') for key in missing)
    backbone.eval()  # that of the host returns nothing
    return backbone


def assert_same(ours, theirs):
    with torch.no_grad():
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_vit():
    model = vit()
    images = IMAGES[..., :32, :32]
    ours = loaded(HOST_VIT, model.state_dict())(images)[-1]
    assert_same(ours, model.forward_features(images)[:, 0])


def test_vit_with_layer_scale():
    model = vit(init_values=0.1)
    images = IMAGES[..., :32, :32]
    ours = loaded({**HOST_VIT, 'layer_scale_init_value': 1e-5}, model.state_dict())(images)[-1]
    assert_same(ours, model.forward_features(images)[:, 0])


def test_vit_that_averages_patches():
    model = vit(class_token=False, global_pool='avg')
    images = IMAGES[..., :32, :32]
    averaging = {'with_cls_token': False, 'out_type': 'avg_featmap', 'final_norm': False}
    ours = loaded({**HOST_VIT, **averaging}, model.state_dict())(images)[-1]
    assert_same(ours, model.forward_head(model.forward_features(images), pre_logits=True))


def test_class_token_without_a_position():
    model = vit(no_embed_class=True)
    images = IMAGES[..., :32, :32]
    ours = loaded(HOST_VIT, model.state_dict())(images)[-1]
    assert_same(ours, model.forward_features(images)[:, 0])


def test_deit3():
    """The host's DeiT3 never calls its second norm, so its features differ with any weights."""
    model = vit(no_embed_class=True, init_values=0.1)
    images = IMAGES[..., :32, :32]
    deit3 = {**HOST_VIT, 'type': 'DeiT3ViT'}
    ours = loaded(deit3, {'model': model.state_dict()})(images)[-1]
    assert_same(ours, model.forward_features(images)[:, 0])


def test_convit_in_a_wrapper():
    settings = {**VIT, 'embed_dim': 6, 'num_heads': 4, 'local_up_to_layer': 1}
    model = random(timm.models.convit.ConVit(**settings))
    convit = {**HOST_VIT, 'type': 'ConViT', 'arch': {**ARCH, 'num_heads': 4}}
    images = IMAGES[..., :32, :32]
    wrapped = {'state_dict': {f'net.{k}': v for k, v in model.state_dict().items()}}
    ours = loaded({**convit, 'num_local_layers': 1}, wrapped)(images)[-1]
    assert_same(ours, model.forward_features(images)[:, 0])


def test_timm_in_the_wrapper_of_the_host():
    model = timm.create_model('resnet18', pretrained=False)
    model.eval()
    backbone = {'type': 'TIMMBackbone', 'model_name': 'resnet18', 'features_only': False}
    ours = loaded(backbone, model.state_dict())(IMAGES)[-1]
    assert_same(ours, model.forward_features(IMAGES))


def test_distilled_deit():
    model = random(timm.models.deit.VisionTransformerDistilled(**VIT))
    images = IMAGES[..., :32, :32]
    ours = loaded({**HOST_VIT, 'type': 'DistilledVisionTransformer'}, model.state_dict())(images)
    theirs = model.forward_features(images)
    assert_same(torch.stack(ours[-1], 1), theirs[:, :2])


def test_distilled_deit_in_a_plain_vit_keeps_the_positions():
    state = random(timm.models.deit.VisionTransformerDistilled(**VIT)).state_dict()
    embed = loaded(HOST_VIT, state).pos_embed
    assert torch.equal(embed[:, 0], state['pos_embed'][:, 0])
    assert torch.equal(embed[:, 1:], state['pos_embed'][:, 2:])


def test_swin():
    model = swin()
    theirs = model.forward_features(IMAGES).permute(0, 3, 1, 2)
    assert_same(loaded(HOST_SWIN, model.state_dict())(IMAGES)[-1], theirs)


def test_official_swin():
    """Official files, and those of timm below 0.9, merge patches at the end of a stage."""
    model = swin()
    state = {}
    for key, value in model.state_dict().items():
        for stage in (1, 2, 3):
            key = key.replace(f'layers.{stage}.downsample', f'layers.{stage - 1}.downsample.')
        state[key.replace('..', '.')] = value
    state['layers.0.blocks.1.attn_mask'] = torch.zeros(1)
    state['layers.0.blocks.0.attn.relative_position_index'] = torch.zeros(4, 4)
    assert 'layers.0.downsample.norm.weight' in state
    theirs = model.forward_features(IMAGES).permute(0, 3, 1, 2)
    assert_same(loaded(HOST_SWIN, {'model': state})(IMAGES)[-1], theirs)


def test_swin_of_another_window(tmp_path):
    state = swin().state_dict()
    backbone = loaded({**HOST_SWIN, 'window_size': 4, 'pad_small_map': True}, state)
    table = state['layers.1.blocks.0.attn.relative_position_bias_table']  # (9, 2)
    ours = backbone.stages[1].blocks[0].attn.w_msa.relative_position_bias_table
    assert ours.shape == (49, 2)
    assert torch.equal(ours, resize_bias_table(table, 49))
    assert torch.isfinite(backbone(IMAGES)[-1]).all()
    torch.save(state, tmp_path / 'swin.pth')
    fitted = find_weights(backbone, state)
    assert fitted.bias_rows == 49
    address = fitted.address(str(tmp_path / 'swin.pth'))
    assert torch.equal(load_from_fitted(address)['state_dict'][NAME_OF_BIAS], ours)


def test_swin_of_the_host_with_another_window():
    host = MODELS.build(HOST_SWIN)
    state = {f'backbone.{k}': v for k, v in host.state_dict().items()}
    backbone = loaded({**HOST_SWIN, 'window_size': 4}, {'state_dict': state})
    assert torch.equal(
        backbone.state_dict()[NAME_OF_BIAS],
        resize_bias_table(host.state_dict()[NAME_OF_BIAS], 49),
    )


def test_resize_bias_table_keeps_each_axis():
    """Biases that grow along one axis grow along it, at the same offset 0, in the new window."""
    rows = torch.arange(-2.0, 3)  # window 3: offsets -2..2
    table = (10 * rows[:, None] + rows[None]).reshape(25, 1)
    grid = resize_bias_table(table, 81)[:, 0].view(9, 9)
    assert grid[4, 4].abs() < 1e-5
    assert (grid.diff(dim=0) > grid.diff(dim=1).max()).float().mean() > 0.9
    assert (grid.diff(dim=1) > 0).all()
    assert resize_bias_table(table, 25) is table


@pytest.mark.parametrize('size', [(8,), (3, 8)])
def test_reorder_merging(size):
    weight = torch.arange(float(torch.Size(size).numel())).view(size)
    ours = reorder_merging(weight)
    for column in range(2):
        for row in range(2):
            for channel in range(2):
                theirs = weight[..., (column * 2 + row) * 2 + channel]
                assert torch.equal(ours[..., channel * 4 + row * 2 + column], theirs)


@pytest.mark.parametrize(
    ('name', 'backbone'),
    [
        ('resnet18', {'type': 'ResNet', 'depth': 18}),
        ('resnet50', {'type': 'ResNet', 'depth': 50}),
        ('resnet50d', {'type': 'ResNetV1d', 'depth': 50}),
        ('resnext50_32x4d', {'type': 'ResNeXt', 'depth': 50, 'groups': 32, 'width_per_group': 2}),
        ('seresnet50', {'type': 'SEResNet', 'depth': 50}),
    ],
)
def test_resnet(name, backbone):
    model = timm.create_model(name, pretrained=False, channels=(32, 64, 128, 256)).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1)
                module.running_mean.uniform_(-0.1, 0.1)
    theirs = model.forward_features(IMAGES)
    assert theirs.std() > 1e-3
    ours = loaded({**backbone, 'base_channels': 32}, model.state_dict())(IMAGES)[-1]
    assert_same(ours, theirs)


WRAPPERS = {
    'model': lambda state: {'model': state, 'epoch': 3},
    'state_dict and module': lambda state: {
        'state_dict': {f'module.{k}': v for k, v in state.items()}
    },
    'compiled': lambda state: {f'_orig_mod.{k}': v for k, v in state.items()},
    'compiled and distributed': lambda state: {
        f'module._orig_mod.{k}': v for k, v in state.items()
    },
    'Lightning': lambda state: {'state_dict': {f'net.{k}': v for k, v in state.items()}},
    'DINO': lambda state: {
        'student': {f'module.backbone.{k}': v + 1 for k, v in state.items()},
        'teacher': {f'backbone.{k}': v for k, v in state.items()},
    },
    'DINO, flat': lambda state: {
        **{f'student.backbone.{k}': v + 1 for k, v in state.items()},
        **{f'teacher.backbone.{k}': v for k, v in state.items()},
    },
    'average of timm': lambda state: {
        'state_dict': {k: v + 1 for k, v in state.items()},
        'state_dict_ema': {f'module.{k}': v for k, v in state.items()},
    },
    'average, flat': lambda state: {
        **{f'ema_model.module.{k}': v for k, v in state.items()},
        **{f'model.{k}': v + 1 for k, v in state.items()},
    },
    'average of DeiT': lambda state: {
        'model': {k: v + 1 for k, v in state.items()},
        'optimizer': {'state': {0: {'exp_avg': torch.zeros(1)}}},
        'model_ema': state,
    },
}


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_wrappers(wrapper):
    state = vit().state_dict()
    backbone = loaded(HOST_VIT, WRAPPERS[wrapper](state))
    assert torch.equal(backbone.layers[0].attn.qkv.weight, state['blocks.0.attn.qkv.weight'])
    assert torch.equal(backbone.ln1.bias, state['norm.bias'])


def test_average_of_mmengine_stands_in_the_state_dict():
    state = MODELS.build(HOST_VIT).state_dict()
    checkpoint = {
        'state_dict': {f'backbone.{k}': v for k, v in state.items()},
        'ema_state_dict': {f'module.backbone.{k}': v + 1 for k, v in state.items()},
    }
    assert find_weights(MODELS.build(HOST_VIT), checkpoint) == Fitted('', 'state_dict.backbone.')


def test_address_round_trip(tmp_path):
    model = vit(no_embed_class=True)
    checkpoint = {'model': {f'module.{k}': v for k, v in model.state_dict().items()}}
    torch.save(checkpoint, tmp_path / 'a:b&c.pth')
    fitted = find_weights(MODELS.build(HOST_VIT), checkpoint)
    assert fitted == Fitted('VisionTransformer', 'model.module.', (0, 1))
    address = fitted.address(str(tmp_path / 'a:b&c.pth'))
    found = load_from_fitted(address, 'cpu')['state_dict']
    expected = fitted.take(checkpoint)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_grid_on_record_stays():
    convit = {'type': 'ConViT', 'img_size': (16, 32), 'patch_size': 4, 'num_local_layers': 1}
    convit['arch'] = {**ARCH, 'num_heads': 4}
    state = MODELS.build(convit).state_dict()  # 4 x 8 patches
    weights = find_weights(MODELS.build(convit), {'state_dict': state}).take({'state_dict': state})
    assert weights._metadata['']['grid'] == [4, 8]


def test_no_grid():
    state = vit().state_dict()
    state['pos_embed'] = torch.zeros(1, 1 + 12, 24)
    with pytest.raises(ValueError, match=r'13 tokens, which are no square grid .* 4 x 4 patches'):
        find_weights(MODELS.build(HOST_VIT), state)


@pytest.mark.parametrize(('source', 'target'), [(0, 1), (1, 0), (2, 1), (1, 2)])
def test_change_extra_tokens(source, target):
    embed = torch.rand(1, source + 9, 4)
    changed = change_extra_tokens(embed, source, target)
    assert torch.equal(changed[:, target:], embed[:, source:])
    both = min(source, target)
    assert torch.equal(changed[:, :both], embed[:, :both])
    assert not changed[:, both:target].any()


def test_flatten_tells_tensors_apart_from_the_rest():
    nested = {'a': {'b': torch.zeros(1), 'c': [torch.zeros(1)], 3: {'d': torch.zeros(2)}}, 'e': 1}
    assert set(flatten(nested)[0]) == {'a.b', 'a.3.d'}
