"""The hybrid embedding, alone and in each backbone that takes it."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.models.layers.hybrid_patch_embed import HybridPatchEmbed, in_cells

ARCH = dict(embed_dims=16, num_layers=3, num_heads=4, feedforward_channels=16)
STEM = dict(type='ResidualConvStem', channels=(4, 6, 8))
PATCHES = dict(type='HybridPatchEmbed', stem=STEM)
BACKBONES = {
    'ConViT': dict(type='ConViT', num_local_layers=2),
    'ConViT, plain': dict(type='ConViT', num_local_layers=0),
    'DeiT3ViT': dict(type='DeiT3ViT'),
    'PosEmbedViT': dict(type='PosEmbedViT'),
    'PosEmbedViT, 2d': dict(type='PosEmbedViT', pos_embed='2d'),
    'PosEmbedViT, none': dict(type='PosEmbedViT', pos_embed='none'),
}
backbones = pytest.mark.parametrize('name', BACKBONES)


def build(name: str, **kwargs) -> nn.Module:
    settings = dict(arch=ARCH, img_size=32, patch_size=4, patch_cfg=PATCHES, out_type='raw')
    return MODELS.build({**settings, **BACKBONES[name], **kwargs})


def randomised(model: nn.Module) -> nn.Module:
    """Sample each weight and each statistic, so that its loss is visible."""
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            value.normal_(std=0.2)
            if key.endswith('running_var'):
                value.abs_().add_(0.5)
    return model


# --- alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize('patch', [4, 8, (8, 4)])
def test_tokens_are_patches_of_the_map(patch):
    embed = MODELS.build(
        dict(PATCHES, embed_dims=5, kernel_size=patch, input_size=(32, 16))
    ).eval()
    images = torch.randn(2, 3, 32, 16)
    tokens, grid = embed(images)
    rows, cols = (side // 4 for side in (patch if isinstance(patch, tuple) else (patch, patch)))
    assert grid == embed.init_out_size == (8 // rows, 4 // cols)
    features = embed.stem(images)  # (2, 8, 8, 4)
    for n in range(grid[0] * grid[1]):
        i, j = divmod(n, grid[1])
        cells = features[:, :, i * rows : (i + 1) * rows, j * cols : (j + 1) * cols]
        expected = F.linear(cells.flatten(1), embed.projection.weight.flatten(1))
        torch.testing.assert_close(tokens[:, n], expected + embed.projection.bias)


def test_overlapping_patches_and_the_stem_as_a_module():
    stem = MODELS.build(STEM)
    embed = HybridPatchEmbed(stem, embed_dims=5, kernel_size=8, stride=4, padding=0, input_size=32)
    assert embed.stem is stem
    assert embed.init_out_size == embed(torch.randn(2, 3, 32, 32))[1] == (7, 7)
    assert MODELS.build(dict(PATCHES)).init_out_size is None  # no size, no grid


def test_a_stem_keeps_its_own_channels_of_the_image():
    grey = dict(PATCHES, stem=dict(STEM, in_channels=1))
    assert MODELS.build(grey).stem.root.conv.in_channels == 1
    assert MODELS.build(dict(PATCHES, in_channels=2)).stem.root.conv.in_channels == 2


@pytest.mark.parametrize('pixels', [2, 6, (4, 6), 0])
def test_refuses_a_part_of_a_cell(pixels):
    with pytest.raises(ValueError, match=r'is no whole number of cells .*: set patch_size to 4'):
        in_cells(pixels, 4)


# --- in the backbones ----------------------------------------------------------------------------


@backbones
@pytest.mark.parametrize('out_type', ['raw', 'featmap', 'avg_featmap', 'cls_token'])
def test_output_shapes(name, out_type):
    model = build(name, out_type=out_type)
    for h, w in ((32, 32), (16, 64), (30, 45)):
        rows, cols = -(-h // 4), -(-w // 4)
        shapes = dict(raw=(2, 1 + rows * cols, 16), featmap=(2, 16, rows, cols))
        (out,) = model(torch.randn(2, 3, h, w))
        assert out.shape == shapes.get(out_type, (2, 16))


@backbones
def test_is_the_backbone_without_it_on_the_map_of_the_stem(name):
    """With one cell for each token, it equals a plain ViT on the map with patches of one."""
    hybrid = randomised(build(name))
    plain = build(name, in_channels=8, img_size=8, patch_size=1, patch_cfg=None)
    weights = {k: v for k, v in hybrid.state_dict().items() if '.stem.' not in k}
    assert plain.load_state_dict(weights)
    for model in (hybrid, plain):
        model.eval()  # the host's returns None
    images = torch.randn(2, 3, 32, 48)
    (expected,) = plain(hybrid.patch_embed.stem(images))
    torch.testing.assert_close(hybrid(images)[0], expected)


@backbones
def test_any_registered_stem(name):
    patches = dict(PATCHES, stem=dict(type='ResNetStem', blocks=(1, 1), channels=32))
    model = build(name, patch_size=8, patch_cfg=patches)
    assert model(torch.randn(2, 3, 32, 32))[0].shape == (2, 17, 16)


@backbones
def test_trains_whole_unless_frozen(name):
    model = build(name)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # else a block is its shortcut at first
    model(torch.randn(2, 3, 32, 32))[0].square().sum().backward()
    trained = [param for param in model.parameters() if param.requires_grad]
    assert all(param.grad is not None for param in trained)
    stem = [param for param in model.patch_embed.stem.parameters()]
    assert all(param.grad.any() for param in stem)


@backbones
def test_frozen_stem_keeps_weights_and_statistics(name):
    model = build(name, frozen_stages=1)
    assert model.train() is model
    before = copy.deepcopy(model.patch_embed.state_dict())
    model(torch.randn(2, 3, 32, 32))[0].square().sum().backward()
    assert not any(param.requires_grad for param in model.patch_embed.parameters())
    for key, value in model.patch_embed.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert any(param.grad is not None for param in model.layers[2].parameters())


@backbones
def test_layer_depth_of_the_stem_is_that_of_the_embedding(name):
    model = build(name)
    depths = {
        model.get_layer_depth(f'backbone.{key}', 'backbone.')
        for key, _ in model.named_parameters()
        if key.startswith('patch_embed.')
    }
    assert depths == {(0, 5)}


@backbones
def test_weights_load_at_another_image_size(name, tmp_path):
    small = randomised(build(name))
    torch.save({'state_dict': small.state_dict()}, tmp_path / 'weights.pth')
    large = build(name, img_size=64)
    load_checkpoint(large, str(tmp_path / 'weights.pth'), strict=True)
    for model in (small, large):
        model.eval()
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(small(images), large(images))  # resized as in a forward pass


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.filterwarnings('ignore::FutureWarning')
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@backbones
def test_trace_of_the_model(name):
    model = randomised(build(name))
    model.eval()
    traced = torch.jit.trace(model, torch.randn(2, 3, 32, 32))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(torch.jit.load(file)(images), model(images))


@backbones
def test_bfloat16_autocast_is_close(name):
    model, images = build(name), torch.randn(2, 3, 32, 32)
    model.eval()
    (expected,) = model(images)
    with torch.autocast('cpu', torch.bfloat16):
        (out,) = model(images)
    assert (out - expected).abs().mean() < 0.05 * expected.std()


@backbones
def test_patch_that_the_stem_does_not_divide_is_refused(name):
    with pytest.raises(
        ValueError, match='no whole number of cells of the stem, whose stride is 4'
    ):
        build(name, patch_size=2)


@backbones
def test_takes_any_registered_embedding(name):
    model = build(name, patch_size=8, patch_cfg=dict(type='ConvTokenizer', hidden_channels=4))
    assert model(torch.randn(2, 3, 30, 45))[0].shape == (2, 1 + 4 * 6, 16)


def test_host_vit_refuses_another_grid():
    with pytest.raises(ValueError, match=r'grid of \(4, 4\), img_size and patch_size one of \(8'):
        build('PosEmbedViT', patch_cfg=dict(PATCHES, kernel_size=8, stride=8))


# --- class token and mean, with and without DRLoc ------------------------------------------------


@backbones
def test_drloc_changes_nothing_but_the_loss(name):
    neck = dict(type='TokenPooling', mode='cls_avg')
    head = dict(type='LinearClsHead', num_classes=10, in_channels=32)
    plain = MODELS.build(dict(type='ImageClassifier', backbone=build(name), neck=neck, head=head))
    drloc = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=build(name),
            head=dict(type='DRLocHead', in_channels=16, patch_size=4, neck=neck, head=head),
        )
    )
    drloc.load_state_dict(randomised(plain).state_dict())
    samples = [DataSample(metainfo=dict(img_shape=(32, 48))).set_gt_label(i) for i in (1, 5)]
    images = torch.randn(2, 3, 32, 48)
    for model in (plain, drloc):
        model.backbone.eval()
    expected, found = (model(images, samples, mode='loss') for model in (plain, drloc))
    torch.testing.assert_close(found['loss_cls'], expected['loss'])
    assert found['loss_drloc'] > 0
    assert torch.equal(drloc(images), plain(images))
