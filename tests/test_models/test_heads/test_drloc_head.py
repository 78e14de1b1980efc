"""DRLocHead in whole classifiers: eight backbones, weights, settings, messages."""

import copy
import re
import warnings
import weakref
from types import SimpleNamespace

import pytest
import torch
from mmengine import Config
from mmengine.runner import load_checkpoint
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample

from vit_plugins.models.heads.drloc_weights import plain_state_dict, wrapped_state_dict
from vit_plugins.models.losses.drloc_loss import DRLocLoss

WIDTH, CLASSES = 32, 3
VIT_ARCH = dict(embed_dims=WIDTH, num_layers=2, num_heads=2, feedforward_channels=64)
VIT_HEAD = dict(type='VisionTransformerClsHead', num_classes=CLASSES, in_channels=WIDTH)
DEIT_HEAD = VIT_HEAD | dict(type='DeiTClsHead')
LINEAR_HEAD = dict(type='LinearClsHead', num_classes=CLASSES, in_channels=WIDTH)
GAP = dict(type='GlobalAveragePooling')
VIT = dict(
    type='VisionTransformer',
    arch=VIT_ARCH,
    img_size=32,
    patch_size=8,
    drop_rate=0.1,
    out_type='raw',
)
DEIT = VIT | dict(type='DistilledVisionTransformer')
CONVIT = dict(type='ConViT', arch=VIT_ARCH | dict(num_heads=4), img_size=32, patch_size=8)
SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 4]),
    img_size=64,
    window_size=2,
)
T2T = dict(
    type='T2T_ViT',
    img_size=32,
    embed_dims=WIDTH,
    num_layers=2,
    out_type='raw',
    t2t_cfg=dict(token_dims=16, use_performer=False),
    layer_cfgs=dict(num_heads=2),
)
CVT = dict(type='CvT', arch=dict(embed_dims=(8, 16, 32), num_heads=(1, 1, 2), depths=(1, 1, 1)))
RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
CONVNEXT = dict(
    type='ConvNeXt',
    arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 32]),
    gap_before_final_norm=False,
)
MODEL_CASES = {
    'convit': (CONVIT | dict(num_local_layers=1, out_type='raw'), dict(head=VIT_HEAD)),
    'vit': (VIT, dict(head=VIT_HEAD)),
    'vit-patch': (VIT, dict(head=VIT_HEAD, patch_size=8)),
    'vit-featmap': (VIT | dict(out_type='featmap'), dict(head=VIT_HEAD)),
    'vit-vector-source': (
        VIT | dict(out_type='cls_token'),
        dict(head=VIT_HEAD, source='backbone.layers.1'),
    ),
    'deit': (DEIT, dict(head=DEIT_HEAD, num_extra_tokens=2)),
    'deit-vector-source': (
        DEIT | dict(out_type='cls_token'),
        dict(
            head=DEIT_HEAD,
            num_extra_tokens=2,
            source='backbone.layers.1',
        ),
    ),
    'deit-one-token': (DEIT, dict(head=VIT_HEAD, num_extra_tokens=2, cls_source='cls_token')),
    'swin': (SWIN, dict(head=LINEAR_HEAD | dict(in_channels=64), in_channels=64, neck=GAP)),
    'swin-pre-norm': (
        SWIN,
        dict(
            head=LINEAR_HEAD | dict(in_channels=64),
            in_channels=64,
            neck=GAP,
            source='backbone.stages.3',
        ),
    ),
    'swin-all-blocks': (
        SWIN | dict(with_cp=True),
        dict(
            head=LINEAR_HEAD | dict(in_channels=64),
            in_channels=[8, 16, 32, 64],
            neck=GAP,
            source=[f'backbone.stages.{i}.blocks.0' for i in range(4)],
        ),
    ),
    'swin-all-stages': (
        SWIN | dict(out_indices=(0, 1, 2, 3)),
        dict(
            head=LINEAR_HEAD | dict(in_channels=64),
            in_channels=[8, 16, 32, 64],
            neck=GAP,
            feat_index=[0, 1, 2, 3],
        ),
    ),
    't2t': (T2T, dict(head=VIT_HEAD)),
    'cvt': (CVT | dict(out_type='raw'), dict(head=LINEAR_HEAD)),
    'cvt-vector-source': (CVT, dict(head=LINEAR_HEAD, source='backbone.stage2')),
    'cvt-gap': (CVT | dict(style='gap', out_type='featmap'), dict(head=LINEAR_HEAD)),
    'resnet': (RESNET, dict(head=LINEAR_HEAD, in_channels=32, neck=GAP)),
    'resnet-no-neck': (RESNET, dict(head=LINEAR_HEAD, in_channels=32)),
    'convnext': (CONVNEXT, dict(head=LINEAR_HEAD, neck=GAP)),
    'convnext-vector-source': (
        CONVNEXT | dict(gap_before_final_norm=True),
        dict(head=LINEAR_HEAD, source='backbone.stages.3'),
    ),
}


def drloc_head(**settings):
    settings = dict(in_channels=WIDTH, num_pairs=8, hidden_dims=(16, 16)) | settings
    return dict(type='DRLocHead', **settings)


def classifier(backbone, head, neck=None):
    model = dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head)
    model = MODELS.build(copy.deepcopy(model))
    if getattr(model.head, 'sources', None):
        model.head.attach(model)
    return model


def samples(batch, *shape):
    return [
        DataSample(metainfo=dict(img_shape=shape)).set_gt_label(i % CLASSES) for i in range(batch)
    ]


def record_grids(model):
    """Return a list that records the token maps of the losses."""
    grids = []
    for drloc in [m for m in model.modules() if isinstance(m, DRLocLoss)]:
        inner = drloc.unweighted
        drloc.unweighted = lambda grid, inner=inner: grids.append(grid) or inner(grid)
    return grids


def one_step(model, shape, batch=2):
    losses = model.loss(torch.randn(batch, 3, *shape), samples(batch, *shape))
    total, logged = model.parse_losses(losses)
    total.backward()
    return losses, total, logged


@pytest.mark.filterwarnings('ignore:MMPretrain cannot train')
@pytest.mark.parametrize('shape', [(64, 64), (64, 128)])
@pytest.mark.parametrize('name', MODEL_CASES)
def test_trains_and_predicts(name, shape):
    backbone, settings = MODEL_CASES[name]
    model = classifier(backbone, drloc_head(**settings))
    grids = record_grids(model)
    losses, total, logged = one_step(model, shape)
    assert set(losses) == {'loss_cls', 'loss_drloc', 'drloc_raw'}
    assert losses['loss_drloc'] == 0.5 * losses['drloc_raw'] > 0
    assert not losses['drloc_raw'].requires_grad
    assert total == losses['loss_cls'] + losses['loss_drloc']
    assert logged['loss'] == total
    # The grid has the shape of the image.
    assert grids
    for grid in grids:
        assert grid.shape[3] * shape[0] == grid.shape[2] * shape[1]
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert all('dist' in n or 'pos_proj.bias' in n for n in unused), unused
    model.eval()
    with torch.no_grad():
        predicted = model.predict(torch.randn(2, 3, *shape))
    assert [sample.pred_score.shape for sample in predicted] == [(CLASSES,)] * 2
    assert model(torch.randn(2, 3, *shape)).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ('backbone', 'settings', 'neck', 'shape'),
    [
        (VIT | dict(out_type='cls_token'), dict(head=VIT_HEAD), None, (32, 64)),
        (DEIT | dict(out_type='cls_token'), dict(head=DEIT_HEAD), None, (32, 32)),
        (SWIN, dict(head=LINEAR_HEAD | dict(in_channels=64), in_channels=64), GAP, (64, 64)),
        (RESNET, dict(head=LINEAR_HEAD), GAP, (64, 128)),
        (T2T | dict(out_type='cls_token', drop_rate=0.1), dict(head=VIT_HEAD), None, (32, 64)),
    ],
    ids=['vit', 'deit', 'swin', 'resnet', 't2t'],
)  # fmt: skip
@pytest.mark.filterwarnings('ignore:MMPretrain cannot train')
def test_weight_0_is_bit_equal_to_the_plain_head(backbone, settings, neck, shape):
    """Same seed, same initial weights, same dropout, same weights after three steps."""

    def run(backbone, head, neck):
        torch.manual_seed(5)
        model = classifier(backbone, head, neck)
        model.init_cfg = dict(type='TruncNormal', layer='Linear', std=0.1)
        model.init_weights()
        # Both kinds of head must see non-zero gradients: host ViT heads start at 0.
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        images = torch.randn(3, 2, 3, *shape)
        logs = []
        for step, batch in enumerate(images):
            torch.manual_seed(step)  # as SeededDrawsHook does; the pairs are drawn last
            losses = model.loss(batch, samples(2, *shape))
            total, _ = model.parse_losses(losses)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            logs.append((losses.get('loss_cls', losses.get('loss')).item(), total.item()))
        return model, logs

    raw = backbone
    if 'out_type' in backbone:
        raw = backbone | dict(out_type='raw')
        settings = settings | dict(num_extra_tokens=2 if 'Distilled' in raw['type'] else 1)
    plain, plain_logs = run(backbone, settings['head'], neck)
    wrapped, logs = run(raw, drloc_head(loss_weight=0, neck=neck, **settings), None)
    assert logs == plain_logs
    stripped = plain_state_dict(wrapped.state_dict())
    assert stripped.keys() == plain.state_dict().keys()
    for key, value in plain.state_dict().items():
        assert torch.equal(stripped[key], value), key


@pytest.mark.skipif(
    torch.__version__.startswith('2.1.'),
    reason='torch 2.1 cannot compile the deprecation decorators of MMEngine',
)
@pytest.mark.slow
def test_compiles_without_a_graph_break():
    """The whole step of a ConViT; several host backbones have breaks of their own."""
    backbone = CONVIT | dict(num_local_layers=1, out_type='raw')
    model = classifier(backbone, drloc_head(head=VIT_HEAD, mode='reg', loss_grid_size=2))
    images, labels = torch.randn(2, 3, 32, 32), samples(2, 32, 32)
    torch._dynamo.reset()
    results = []
    for loss in (model.loss, torch.compile(model.loss, backend='eager', fullgraph=True)):
        torch.manual_seed(4)
        results.append(loss(images, labels))
    torch.testing.assert_close(*results)


def test_112x448_and_mixed_shapes():
    vit = VIT | dict(patch_size=16, img_size=(112, 448))
    model = classifier(vit, drloc_head(head=VIT_HEAD))
    grids = record_grids(model)
    one_step(model, (112, 448))
    # Images of different shape, which the preprocessor pads to one batch.
    images = [torch.randn(3, 112, 60), torch.randn(3, 48, 448), torch.randn(3, 32, 32)]
    mixed = [samples(1, *image.shape[1:])[0] for image in images]
    batch = model.data_preprocessor(dict(inputs=images, data_samples=mixed), training=True)
    model(**batch, mode='loss')
    assert [tuple(grid.shape[1:]) for grid in grids] == [(WIDTH, 7, 28)] * 2


def test_raw_tokens_reach_the_loss_in_their_places():
    model = classifier(VIT, drloc_head(head=VIT_HEAD)).eval()
    featmap = classifier(VIT | dict(out_type='featmap'), drloc_head(head=VIT_HEAD)).eval()
    featmap.load_state_dict(model.state_dict())
    images, seen = torch.randn(2, 3, 32, 64), []
    for m in (model, featmap):
        grids = record_grids(m)
        m.loss(images, samples(2, 32, 64))
        seen += grids
    assert torch.equal(*seen)


@pytest.mark.parametrize('strict', [True, False])
def test_plain_checkpoints_load(strict, tmp_path):
    plain = classifier(RESNET, LINEAR_HEAD, GAP)
    torch.save(dict(state_dict=plain.state_dict()), tmp_path / 'plain.pth')
    model = classifier(RESNET, drloc_head(head=LINEAR_HEAD, neck=GAP))
    mlp = copy.deepcopy(model.head.drloc.state_dict())
    load_checkpoint(model, str(tmp_path / 'plain.pth'), strict=strict)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(model.eval()(images), plain.eval()(images))
    assert all(torch.equal(v, mlp[k]) for k, v in model.head.drloc.state_dict().items())
    # And back: what is exported loads into the plain model, strictly.
    fresh = classifier(RESNET, LINEAR_HEAD, GAP)
    fresh.load_state_dict(plain_state_dict(model.state_dict()))
    assert torch.equal(fresh.eval()(images), plain(images))
    # Its own checkpoints stay as they are.
    twin = classifier(RESNET, drloc_head(head=LINEAR_HEAD, neck=GAP))
    twin.load_state_dict(model.state_dict())
    assert all(torch.equal(v, mlp[k]) for k, v in twin.head.drloc.state_dict().items())


def test_missing_mlp_in_own_checkpoint_is_an_error():
    model = classifier(RESNET, drloc_head(head=LINEAR_HEAD, neck=GAP))
    state = {k: v for k, v in model.state_dict().items() if 'drloc' not in k}
    with pytest.raises(RuntimeError, match=r'head\.drloc\.trunk'):
        model.load_state_dict(state)


def test_neck_with_weights_round_trips():
    neck = dict(type='GeneralizedMeanPooling')
    plain = classifier(RESNET, LINEAR_HEAD, neck)
    model = classifier(RESNET, drloc_head(head=LINEAR_HEAD, neck=neck))
    incompatible = model.load_state_dict(wrapped_state_dict(plain.state_dict()), strict=False)
    assert all(key.startswith('head.drloc') for key in incompatible.missing_keys)
    assert not incompatible.unexpected_keys
    assert plain_state_dict(model.state_dict()).keys() == plain.state_dict().keys()
    plain.load_state_dict(plain_state_dict(model.state_dict()))
    with pytest.raises(ValueError, match=r"no 'head\.drloc\.\*' among the keys"):
        plain_state_dict(plain.state_dict())


def test_mlp_keeps_its_initialisation_beside_a_zero_head():
    model = classifier(VIT, drloc_head(head=VIT_HEAD))
    model.init_weights()
    assert model.head.cls_head.layers.head.weight.abs().sum() == 0
    one_step(model, (32, 32))
    assert model.head.drloc.trunk[0].weight.grad.abs().sum() > 0


def test_loss_of_all_blocks_is_the_sum_over_blocks():
    backbone, settings = MODEL_CASES['swin-all-blocks']
    model = classifier(backbone, drloc_head(**settings))
    parts = []
    for drloc in model.head.drloc:
        inner = drloc.unweighted
        drloc.unweighted = lambda grid, inner=inner: parts.append(inner(grid)) or parts[-1]
    losses, _, _ = one_step(model, (64, 128))
    assert len(parts) == 4
    assert losses['drloc_raw'] == sum(parts)


@pytest.mark.parametrize(
    ('widths', 'params'),
    [
        ([96] * 2 + [192] * 2 + [384] * 6 + [768] * 2, 7_692_312),  # L^all of Swin-T
        ([192, 384, 768, 768], 3_219_464),  # the released code: one MLP for each stage
    ],
)
def test_each_level_has_an_mlp_of_its_own(widths, params):
    with torch.device('meta'):
        head = MODELS.build(
            dict(
                type='DRLocHead',
                head=LINEAR_HEAD,
                in_channels=widths,
                feat_index=list(range(len(widths))),
            )
        )
    assert sum(p.numel() for p in head.drloc.parameters()) == params


def test_source_takes_the_tokens_before_the_norm():
    backbone, settings = MODEL_CASES['swin-pre-norm']
    model = classifier(backbone, drloc_head(**settings)).eval()
    feats = model.extract_feat(torch.randn(2, 3, 64, 128))
    seen = record_grids(model)
    model.head.loss(feats, samples(2, 64, 128))
    normed = model.backbone.norm3(seen[0].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(normed, feats[-1])
    assert not torch.allclose(seen[0], feats[-1], atol=0.1)


def test_two_forwards_do_not_mix():
    backbone, settings = MODEL_CASES['convnext-vector-source']
    model = classifier(backbone, drloc_head(**settings)).eval()
    model.head.attach(model)  # again: void
    first, second = (model.extract_feat(torch.randn(2, 3, 64, 64)) for _ in range(2))
    seen = record_grids(model)
    model.head.loss(first, samples(2, 64, 64))
    model.head.loss(second, samples(2, 64, 64))
    for feats, grid in zip((first, second), seen, strict=True):
        pooled = model.backbone.norm3(grid.mean((2, 3), keepdim=True))
        torch.testing.assert_close(pooled.flatten(1), feats[-1])


def test_source_survives_copies_and_recomputation():
    backbone, settings = MODEL_CASES['swin-all-blocks']
    model = classifier(backbone | dict(drop_path_rate=0.0), drloc_head(**settings))
    twin = copy.deepcopy(model)  # as the EMA hook does
    for m in (model, twin):
        one_step(m, (64, 64))
        one_step(m, (64, 64))
    grads = [[p.grad for p in m.backbone.parameters()] for m in (model, twin)]
    assert all(g is not None for g in grads[0] + grads[1])


def test_nothing_is_kept_after_the_step():
    backbone, settings = MODEL_CASES['convnext-vector-source']
    model = classifier(backbone, drloc_head(**settings))
    refs = []
    inner = model.head.drloc.unweighted
    model.head.drloc.unweighted = lambda grid: refs.append(weakref.ref(grid)) or inner(grid)
    one_step(model, (64, 64))
    assert len(refs) == 1
    assert refs[0]() is None


def test_recomputation_in_the_backward_pass_keeps_nothing():
    """A module inside a checkpointed block runs twice."""
    head = drloc_head(head=LINEAR_HEAD, source='backbone.stage2.blocks.0.attn.proj')
    model, runs = classifier(CVT | dict(with_cp=True), head), []
    model.backbone.stage2.blocks[0].attn.proj.register_forward_hook(lambda *_: runs.append(1))
    one_step(model, (64, 64))
    assert len(runs) == 2
    captures = [hook.__self__ for hook in model.backbone._forward_hooks.values()]
    assert [capture.found for capture in captures] == [{}]


def test_predict_runs_no_localization():
    model = classifier(VIT, drloc_head(head=VIT_HEAD)).eval()
    model.head.drloc.unweighted = None
    model.head.drloc.forward = None
    model.predict(torch.randn(1, 3, 32, 32))
    model.extract_feat(torch.randn(1, 3, 32, 32), stage='pre_logits')


def test_loss_module_is_that_of_the_wrapped_head():
    model = classifier(VIT, drloc_head(head=VIT_HEAD))
    new = MODELS.build(dict(type='LabelSmoothLoss', label_smooth_val=0.1))
    model.head.loss_module = new  # as SwitchRecipeHook does
    assert model.head.loss_module is new
    assert model.head.cls_head.loss_module is new
    assert 'loss_module' not in dict(model.head.named_children())


def test_class_num_check_hook_passes():
    model = classifier(VIT, drloc_head(head=VIT_HEAD, mode='ce', loss_grid_size=4))
    dataset = SimpleNamespace(CLASSES=('a', 'b', 'c'))
    hook = HOOKS.build(dict(type='ClassNumCheckHook'))
    hook._check_head(SimpleNamespace(model=model.head), dataset)


def test_frozen_backbone_warns_once():
    model = classifier(RESNET | dict(frozen_stages=4), drloc_head(head=LINEAR_HEAD, neck=GAP))
    model.train()
    with pytest.warns(UserWarning, match='the backbone is frozen'):
        one_step(model, (64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        one_step(model, (64, 64))


def test_a_source_without_gradient_inside_a_block_of_the_host_is_told():
    """The host's checkpoints compute inside a block without gradient."""
    head = drloc_head(
        head=LINEAR_HEAD | dict(in_channels=64),
        in_channels=64,
        neck=GAP,
        source='backbone.stages.3.blocks.0.attn',
    )
    model = classifier(SWIN | dict(with_cp=True), head)
    with pytest.warns(UserWarning, match='or source is inside a block that with_cp recomputes'):
        one_step(model, (64, 64))


def test_bf16_autocast():
    model = classifier(VIT, drloc_head(head=VIT_HEAD, mode='reg', loss_grid_size=(2, 4)))
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    assert losses['loss_drloc'].dtype == torch.float32
    model.parse_losses(losses)[0].backward()


def test_batch_augmentation_and_grid_size():
    model = classifier(VIT, drloc_head(head=VIT_HEAD, grid_size=(4, 8)))
    mixed = [DataSample().set_gt_score(torch.rand(CLASSES)) for _ in range(2)]
    losses = model.loss(torch.randn(2, 3, 32, 64), mixed)  # needs no img_shape
    assert losses['loss_cls'].isfinite()


TOKENS = (
    r"features \(2, 32\) have no grid .*: set out_type='raw' \(keeps .*, or source='backbone.ln1'"
)
MAP = r'features \(2, 32\) have no grid .*: set gap_before_final_norm=False in .*, or source='


@pytest.mark.parametrize(
    ('backbone', 'settings', 'message'),
    [
        (VIT | dict(out_type='cls_token'), dict(head=VIT_HEAD), TOKENS),
        (CONVNEXT | dict(gap_before_final_norm=True), dict(head=LINEAR_HEAD), MAP),
        (VIT, dict(head=VIT_HEAD, grid_size=7), r'16 tokens are not a 7x7 grid: set grid_size'),
        (VIT, dict(head=VIT_HEAD, patch_size=4), r'gives 8x8 tokens, the backbone gave 16'),
        (VIT, dict(head=VIT_HEAD, num_extra_tokens=2), 'no square patch .* num_extra_tokens'),
        (VIT, dict(head=VIT_HEAD, in_channels=48), 'have width 32, in_channels is 48'),
        (VIT, dict(head=VIT_HEAD, mode='ce', loss_grid_size=7), 'smaller than grid_size 7x7'),
    ],
)
def test_says_which_setting_to_change(backbone, settings, message):
    model = classifier(backbone, drloc_head(**settings))
    with pytest.raises(ValueError, match=message):
        model.loss(torch.randn(2, 3, 32, 32), samples(2, 32, 32))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(cls_source='token'), r"cls_source \('token'\) must be None or one of"),
        (dict(cls_source='neck'), "cls_source='neck' contradicts neck=None"),
        (dict(cls_source='gap', neck=GAP), "cls_source='gap' contradicts neck="),
        (dict(source='backbone.layers.0', feat_index=0), r'feat_index \(0\) and source'),
        (dict(grid_size=4, patch_size=8), r'grid_size \(4\) already says .* patch_size \(8\)'),
        (dict(in_channels=[8, 8]), 'in_channels has 2 widths for 1 levels'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(drloc_head(head=VIT_HEAD, **settings))


def test_unknown_source_is_named():
    with pytest.raises(ValueError, match=r"source 'backbone.layer.1' .*backbone.layers.1"):
        classifier(VIT, drloc_head(head=VIT_HEAD, source='backbone.layer.1'))


@pytest.mark.slow
def test_a_vit_learns_one_batch():
    """Tokens of a real model, position embedding included: below 10 % of the constant floor."""
    model = classifier(
        VIT | dict(drop_rate=0.0), drloc_head(head=VIT_HEAD, hidden_dims=(128, 128), num_pairs=64)
    )
    model.init_weights()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    images, labels = torch.randn(8, 3, 32, 64), samples(8, 32, 64)
    for _ in range(600):
        losses = model.loss(images, labels)
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    # 4 x 8 cells: best constants of |Δ|/k, identical cells included.
    cells = torch.arange(32)
    pairs = torch.cartesian_prod(cells, cells)
    rows = (pairs // 8).diff().abs() / 4
    cols = (pairs % 8).diff().abs() / 8
    floor = sum((t - t.median()).abs().mean() for t in (rows, cols))
    assert losses['drloc_raw'] < 0.1 * floor


def test_weight_in_cells_on_the_grids_of_several_levels():
    """16 x 16 to 2 x 2 tokens: each level has the strength of its own grid."""
    backbone, settings = MODEL_CASES['swin-all-stages']
    model = classifier(
        backbone, drloc_head(loss_weight=0.1, weight_in_cells=True, preset='paper', **settings)
    )
    raw = []
    for drloc in model.head.drloc:
        inner = drloc.unweighted
        drloc.unweighted = lambda grid, inner=inner: raw.append((grid, inner(grid))) or raw[-1][1]
    losses, *_ = one_step(model, (64, 64))
    sides = [grid.shape[-1] for grid, _ in raw]
    assert len(set(sides)) == 4
    expected = sum(0.1 * k / 2 * loss for k, (_, loss) in zip(sides, raw, strict=True))
    torch.testing.assert_close(losses['loss_drloc'], expected)
    torch.testing.assert_close(losses['drloc_raw'], sum(loss for _, loss in raw))


TNT = dict(
    type='TNT',
    arch=dict(
        embed_dims_outer=WIDTH,
        embed_dims_inner=8,
        num_layers=1,
        num_heads_outer=2,
        num_heads_inner=2,
    ),
    img_size=64,
)
MIXMIM = dict(
    type='MixMIMTransformer',
    arch=dict(embed_dims=4, depths=[1] * 4, num_heads=[1] * 4),
    img_size=64,
    window_size=[2, 2, 2, 2],
)
CONFORMER = dict(
    type='Conformer', arch=dict(embed_dims=WIDTH, channel_ratio=1, num_heads=2, depths=3)
)
MIXER = dict(
    type='MlpMixer',
    arch=dict(embed_dims=WIDTH, num_layers=1, tokens_mlp_dims=8, channels_mlp_dims=8),
    img_size=64,
    patch_size=8,
)
NO_GRID = {
    'conformer': (
        CONFORMER,
        dict(head=dict(type='ConformerHead', num_classes=CLASSES, in_channels=[256, WIDTH])),
    ),
    'mixer': (
        MIXER,
        dict(
            head=LINEAR_HEAD,
            neck=dict(type='GlobalAveragePooling', dim=1),
            num_extra_tokens=0,
        ),
    ),
    'mixmim': (MIXMIM, dict(head=LINEAR_HEAD, num_extra_tokens=0)),
    'tnt': (TNT, dict(head=LINEAR_HEAD)),
}


@pytest.mark.filterwarnings('ignore:MMPretrain cannot train')
@pytest.mark.parametrize('name', NO_GRID)
def test_names_what_the_backbone_has_and_that_helps(name):
    """These have neither of the settings that ViTs and ConvNeXt have."""
    backbone, settings = NO_GRID[name]
    with pytest.raises(ValueError, match=r'have no grid left|have width') as error:
        one_step(classifier(backbone, drloc_head(**settings)), (64, 64))
    message = str(error.value)
    assert 'out_type' not in message
    assert 'gap_before_final_norm' not in message
    source = re.search(r"source='(backbone\.\w+)' in DRLocHead", message)[1]
    losses, *_ = one_step(classifier(backbone, drloc_head(source=source, **settings)), (64, 64))
    assert losses['loss_drloc'] > 0


def test_a_head_of_no_model_names_all_settings():
    head = MODELS.build(drloc_head(head=VIT_HEAD))
    with pytest.raises(
        ValueError, match=r"out_type='raw' .* gap_before_final_norm=False .* source="
    ):
        head.loss((torch.randn(2, WIDTH),), samples(2, 32, 32))


@pytest.mark.parametrize('as_config', [True, False])
def test_neck_of_several_parts_is_the_hosts(as_config):
    """A list in a config is a sequence of modules, as for ImageClassifier."""
    neck = [GAP, dict(type='LinearNeck', in_channels=32, out_channels=WIDTH)]
    plain = classifier(RESNET, LINEAR_HEAD, neck).eval()
    given = neck if as_config else MODELS.build(neck)
    settings = dict(head=LINEAR_HEAD, in_channels=32, neck=given)
    if as_config:
        settings = Config(settings)._cfg_dict.to_dict()
    model = classifier(RESNET, drloc_head(**settings)).eval()
    model.load_state_dict(wrapped_state_dict(plain.state_dict()), strict=False)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(images), plain(images))
    assert plain_state_dict(model.state_dict()).keys() == plain.state_dict().keys()
    losses, *_ = one_step(model.train(), (64, 64))
    assert losses['loss_drloc'] > 0


def padded(images, divisor, **settings):
    """Compute the loss of a batch of raw images; return the grids."""
    vit = VIT | dict(img_size=64, patch_size=16)
    model = dict(type='ImageClassifier', backbone=vit, head=drloc_head(head=VIT_HEAD, **settings))
    preprocessor = dict(pad_size_divisor=divisor, mean=[0.0] * 3, std=[1.0] * 3)
    model = MODELS.build(model | dict(data_preprocessor=preprocessor))
    grids = record_grids(model)
    data = dict(inputs=images, data_samples=[samples(1, *i.shape[1:])[0] for i in images])
    model(**model.data_preprocessor(data, training=True), mode='loss')
    return [tuple(grid.shape[2:]) for grid in grids]


@pytest.mark.parametrize('patch_size', [None, 16])
def test_padding_is_read_from_the_data_preprocessor(patch_size):
    images = [torch.rand(3, 40, 20), torch.rand(3, 33, 70)]  # padded to 64 x 96
    assert padded(images, 32, patch_size=patch_size) == [(4, 6)]
    assert padded(images, 32, patch_size=patch_size, pad_size_divisor=32) == [(4, 6)]
    with pytest.raises(ValueError, match=r'gave 24|into 24 tokens'):
        padded(images, 32, patch_size=patch_size, pad_size_divisor=1)


def test_a_copy_of_the_model_keeps_the_padding():
    model = classifier(VIT, drloc_head(head=VIT_HEAD))
    assert model.head.token_grid.pad_size_divisor == 1
    assert copy.deepcopy(model).head.token_grid.pad_size_divisor == 1
    assert MODELS.build(drloc_head(head=VIT_HEAD)).token_grid.pad_size_divisor is None
