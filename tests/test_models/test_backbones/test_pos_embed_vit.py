import pytest
import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.models.backbones.pos_embed_vit import PosEmbedViT

DIMS = 12
ARCH = dict(embed_dims=DIMS, num_layers=2, num_heads=2, feedforward_channels=16)
KINDS = pytest.mark.parametrize('kind', ['1d', '2d', 'none'])
OURS = {'pos_embed_cls', 'pos_embed_cols', 'pos_embed_rows'}


def small(kind: str = '2d', **kwargs) -> PosEmbedViT:
    """Build a ViT of 2 layers on a grid of 3 x 5, where the loss of any weight is visible."""
    kwargs = {'arch': ARCH, 'img_size': (12, 20), 'patch_size': 4, **kwargs}
    model = PosEmbedViT(pos_embed=kind, **kwargs)
    for value in model.state_dict().values():
        value.normal_(std=0.4)
    model.eval()  # the host's returns None
    return model


def positions(kind: str) -> set[str]:
    return {name for name, _ in small(kind).named_parameters() if name.startswith('pos_embed')}


# --- what is learnt -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('kind', 'count'),
    [
        # B/16 at 224, as torchvision's vit_b_16: 86,567,656 with a head of 769 * 1000
        ('1d', 86_567_656 - 769_000),
        ('2d', 86_567_656 - 769_000 - 197 * 768 + 768 + 2 * 14 * 384),
        ('none', 86_567_656 - 769_000 - 197 * 768),
    ],
)
def test_number_of_parameters(kind, count):
    with torch.device('meta'):
        model = PosEmbedViT(pos_embed=kind, arch='base')
    assert sum(param.numel() for param in model.parameters()) == count


def test_names_and_shapes():
    assert positions('1d') == {'pos_embed'}
    assert positions('2d') == OURS
    assert positions('none') == set()
    model = small()
    assert model.pos_embed_cols.shape == (1, 5, DIMS // 2)
    assert model.pos_embed_rows.shape == (1, 3, DIMS // 2)
    assert model.pos_embed_cls.shape == (1, 1, DIMS)
    assert small(with_cls_token=False, out_type='raw').pos_embed_cls is None


@KINDS
@pytest.mark.parametrize(
    ('out_type', 'with_cls_token', 'shape'),
    [
        ('cls_token', True, (2, DIMS)),
        ('featmap', True, (2, DIMS, 3, 5)),
        ('featmap', False, (2, DIMS, 3, 5)),
        ('avg_featmap', True, (2, DIMS)),
        ('avg_featmap', False, (2, DIMS)),
        ('raw', True, (2, 16, DIMS)),
        ('raw', False, (2, 15, DIMS)),
    ],
)
def test_outputs_and_a_gradient_for_each_parameter(kind, out_type, with_cls_token, shape):
    model = small(kind, out_type=out_type, with_cls_token=with_cls_token)
    (out,) = model(torch.randn(2, 3, 12, 20))
    assert out.shape == shape
    out.square().sum().backward()
    assert [name for name, param in model.named_parameters() if param.grad is None] == []


# --- what is computed ---------------------------------------------------------------------------


def host_with(embed: torch.Tensor, model: PosEmbedViT, **kwargs) -> VisionTransformer:
    """Return the host's ViT with our weights and one embedding (1, 1 + N, D) for all."""
    host = VisionTransformer(arch=ARCH, patch_size=4, **kwargs)
    host.eval()
    weights = {name: value for name, value in model.state_dict().items() if name not in OURS}
    host.load_state_dict({**weights, 'pos_embed': embed})
    return host


def looped(model: PosEmbedViT, cls: bool = True) -> torch.Tensor:
    """Return the positions (1, 1 + N, D), built patch by patch: column, then row."""
    tokens = [model.pos_embed_cls[0, 0]] if cls else []
    for row in model.pos_embed_rows[0]:
        for col in model.pos_embed_cols[0]:
            tokens.append(torch.cat((col, row)))
    return torch.stack(tokens)[None].detach()


@pytest.mark.parametrize('out_type', ['cls_token', 'featmap', 'avg_featmap', 'raw'])
@pytest.mark.parametrize('more', [{}, dict(pre_norm=True), dict(out_indices=[0, 1])])
def test_rows_and_columns_equal_a_loop_over_patches(out_type, more):
    more = {**more, 'out_type': out_type, 'img_size': (12, 20)}
    model, images = small(**more), torch.randn(2, 3, 12, 20)
    host = host_with(looped(model), model, **more)
    assert len(model(images)) == len(model.out_indices)
    torch.testing.assert_close(model(images), host(images))


def test_rows_and_columns_without_class_token():
    more = dict(with_cls_token=False, out_type='featmap', img_size=(12, 20))
    model, images = small(**more), torch.randn(2, 3, 12, 20)
    host = host_with(looped(model, cls=False), model, **more)
    torch.testing.assert_close(model(images), host(images))


def test_1d_is_the_hosts_and_none_adds_zero():
    images = torch.randn(2, 3, 12, 20)
    model = small('1d')
    host = host_with(model.pos_embed, model, img_size=(12, 20))
    assert torch.equal(model(images)[0], host(images)[0])
    model = small('none')
    host = host_with(torch.zeros(1, 16, DIMS), model, img_size=(12, 20))
    torch.testing.assert_close(model(images), host(images))


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
@pytest.mark.parametrize('size', [(20, 20), (12, 32), (8, 12), (27, 41)])
def test_any_size_as_the_host_resizes_its_grid(mode, size):
    """The kernels are separable: resizing rows and columns is resizing the whole grid."""
    model, images = small(interpolate_mode=mode), torch.randn(1, 3, *size)
    host = host_with(looped(model), model, img_size=(12, 20), interpolate_mode=mode)
    torch.testing.assert_close(model(images), host(images))
    assert small('none')(images)[0].shape == (1, DIMS)


@pytest.mark.parametrize(('kind', 'blind'), [('none', True), ('1d', False), ('2d', False)])
def test_without_positions_patches_can_be_permuted(kind, blind):
    model = small(kind, out_type='raw')
    patches = torch.randn(2, 15, 3, 4, 4)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))

    def tokens(patches):
        grid = patches.unflatten(1, (3, 5)).permute(0, 3, 1, 4, 2, 5)  # (B, 3, 3, 4, 5, 4)
        return model(grid.flatten(4, 5).flatten(2, 3))[0]  # (B, 3, 12, 20) -> (B, 16, D)

    before, after = tokens(patches), tokens(patches[:, order])
    assert torch.allclose(after[:, 0], before[:, 0], atol=1e-5) == blind
    assert torch.allclose(after[:, 1:], before[:, 1:][:, order], atol=1e-5) == blind


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [(20, 20), (8, 28)])
def test_weights_of_another_size_are_resized(size):
    one, other = small(), small(img_size=size)
    weights = {f'backbone.{name}': value for name, value in one.state_dict().items()}
    nn.ModuleDict({'backbone': other}).load_state_dict(weights)
    assert other.pos_embed_rows.shape[1] == size[0] // 4
    images = torch.randn(1, 3, *size)
    torch.testing.assert_close(one(images), other(images))


@pytest.mark.parametrize('kind', ['2d', 'none'])
def test_weights_of_another_kind_are_named(kind):
    weights = small('1d').state_dict()
    with pytest.raises(RuntimeError, match='"pos_embed"'):
        small(kind).load_state_dict(weights)
    with pytest.raises(RuntimeError, match='Missing key'):
        small('1d').load_state_dict(small(kind).state_dict())


@KINDS
def test_start(kind):
    model = PosEmbedViT(pos_embed=kind, arch='deit-tiny')
    model.init_weights()
    found = [v for n, v in model.named_parameters() if n.startswith('pos_embed')]
    assert len(found) == {'1d': 1, '2d': 3, 'none': 0}[kind]
    assert all(0.015 < value.std() < 0.025 for value in found)


def test_pretrained_start_is_kept(tmp_path):
    weights = small().state_dict()
    torch.save(weights, tmp_path / 'weights.pth')
    model = small(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth')))
    model.init_weights()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


# --- the rest of the host -----------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize('stages', [-1, 1, 2])
def test_frozen_stages_freeze_positions(kind, stages):
    model = small(kind, frozen_stages=stages)
    names = {n: p.requires_grad for n, p in model.named_parameters() if n.startswith('pos_embed')}
    assert set(names.values()) <= {stages < 0}
    assert any(param.requires_grad for param in model.parameters()) == (stages < 2)


@KINDS
def test_trains_under_drloc(kind):
    head = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=DIMS)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='PosEmbedViT',
                arch=ARCH,
                img_size=16,
                patch_size=4,
                pos_embed=kind,
                out_type='raw',
            ),
            head=dict(type='DRLocHead', head=head, in_channels=DIMS),
        )
    )
    model.init_weights()
    samples = [
        DataSample(metainfo=dict(img_shape=(16, 16))).set_gt_label(label) for label in (0, 2)
    ]
    losses = model.loss(torch.randn(2, 3, 16, 16), samples)
    assert losses['loss_drloc'] > 0
    sum(losses.values()).backward()
    assert [name for name, param in model.named_parameters() if param.grad is None] == []


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(kind='3d'), "pos_embed '3d' is none of 1d, 2d, none"),
        (
            dict(arch={**ARCH, 'embed_dims': 9, 'num_heads': 3}),
            r"embed_dims \(9\) must be even for pos_embed='2d'",
        ),
        (dict(with_cls_token=False), 'with_cls_token must be True'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)
