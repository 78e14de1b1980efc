import pytest
import torch
from mmengine.config import Config
from torch import nn

from vit_plugins.studies.grid import Cell
from vit_plugins.studies.model_cost import count_cost, image_shape, setting_costs

LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackInputs')
EDGE = [LOAD, dict(type='ResizeEdge', scale=256, edge='short')]
FLIP = dict(type='RandomFlip', prob=0.5, direction='horizontal')
GAP = dict(type='GlobalAveragePooling')


def classifier(backbone, dims, classes=1000, neck=None, head='VisionTransformerClsHead'):
    head = dict(type=head, num_classes=classes, in_channels=dims)
    return dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head)


def tiny(**backbone) -> dict:
    arch = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
    kwargs = dict(type='VisionTransformer', arch=arch, img_size=16, patch_size=4)
    return classifier({**kwargs, **backbone}, 8, 3)


def config(test, train=None, model=None, **more) -> Config:
    loaders = {
        name: dict(dataset=dict(type='ClassSubset', dataset=dict(type='D', pipeline=pipeline)))
        for name, pipeline in (('test_dataloader', test), ('train_dataloader', train or test))
    }
    return Config(dict(model=model or tiny(), **loaders, **more))


RESNET = classifier(dict(type='ResNet', depth=18), 512, neck=GAP, head='LinearClsHead')


# --- the count ----------------------------------------------------------------------------------

# 1.248 without the positional part (configs/convit/metafile.yml, counted by hand), whose factored
# form multiplies (rows + columns) * patches * width in each of ten layers.
CONVIT_TINY = 1.248 + 10 * (14 + 14) * 196 * 192 / 1e9
# By hand: patches, twelve layers of projections, attention and MLP, and the head.
DEIT_TINY = (196 * 768 * 192 + 12 * (197 * 12 * 192**2 + 2 * 197**2 * 192) + 192_000) / 1e9


@pytest.mark.parametrize(
    ('model', 'parameters', 'gmacs', 'within'),
    [
        (classifier(dict(type='ConViT', arch='tiny'), 192), 5_710_512, CONVIT_TINY, 5e-4),
        (
            classifier(dict(type='VisionTransformer', arch='deit-tiny'), 192),
            5_717_416,  # the host's metafile: 5.72 M, 1.26 G
            DEIT_TINY,
            1e-12,
        ),
        (
            RESNET,
            11_689_512,  # torchvision's ResNet18_Weights.meta: 'num_params', and '_ops' 1.814
            1.814,
            5e-4,
        ),
    ],
    ids=['convit', 'deit', 'resnet'],
)
def test_known_costs_at_224(model, parameters, gmacs, within):
    found = count_cost(model, (3, 224, 224))
    assert found.parameters == parameters
    assert found.gmacs == pytest.approx(gmacs, abs=within)
    assert found.problem == ''


@pytest.mark.parametrize(
    ('backbone', 'dims'),
    [
        (dict(type='SwinTransformer', arch=dict(embed_dims=8, depths=[1, 1], num_heads=[1, 2]),
              img_size=32, patch_size=2, window_size=4, out_indices=[1]), 16),
        (dict(type='T2TViTPerformer', img_size=64, embed_dims=8, num_layers=1, token_dims=4,
              layer_cfgs=dict(num_heads=2, feedforward_channels=16)), 8),
        (dict(type='CvT', arch=dict(embed_dims=(4, 4, 8), num_heads=(1, 1, 2), depths=(1, 1, 1))),
         8),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)  # fmt: skip
def test_other_backbones_are_counted(backbone, dims):
    swin = backbone['type'] == 'SwinTransformer'
    plain = 'VisionTransformerClsHead' if 'T2T' in backbone['type'] else 'LinearClsHead'
    model = classifier(backbone, dims, 10, GAP if swin else None, plain)
    found = count_cost(model, (3, 64, 64))
    assert found.gmacs > 0, found.problem


def test_a_loss_costs_parameters_but_no_prediction():
    plain = tiny(out_type='raw')
    drloc = {**plain, 'head': dict(type='DRLocHead', in_channels=8, head=plain['head'])}
    with_loss, without = count_cost(drloc, (3, 16, 16)), count_cost(tiny(), (3, 16, 16))
    assert with_loss.gmacs == without.gmacs
    assert with_loss.parameters > without.parameters


def test_counting_leaves_config_and_attention_as_they_were():
    model = tiny(out_indices=[-1])  # in which the host writes
    count_cost(model, (3, 16, 16))
    assert model == tiny(out_indices=[-1])
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize(
    ('model', 'shape', 'parameters', 'problem'),
    [
        (dict(type='NoSuch'), (3, 16, 16), None, 'the model does not build here: KeyError: '),
        (None, None, None, 'the model does not build here: '),
        (tiny(), (4, 16, 16), 1779, 'no prediction for (4, 16, 16): RuntimeError: '),
    ],
)
def test_what_cannot_be_counted_is_told(model, shape, parameters, problem):
    found = count_cost(model, shape)
    assert (found.parameters, found.gmacs) == (parameters, None)
    assert problem in found.problem


# --- the image size -----------------------------------------------------------------------------

CROP = [*EDGE, dict(type='CenterCrop', crop_size=224), PACK]
TRAIN = [LOAD, dict(type='SimpleRandomCrop', crop_size=32), FLIP, PACK]
KEEPS = [LOAD, FLIP, PACK]


@pytest.mark.parametrize(
    ('cfg', 'side'),
    [
        (config(CROP, TRAIN), 224),
        (config([LOAD, dict(type='mmpretrain.Resize', scale=64), PACK], TRAIN), 64),
        (config([dict(type='LoadPhoto'), dict(type='Resize', scale=64), PACK], TRAIN), 64),
        (config([LOAD, PACK], TRAIN), 32),  # CIFAR as it is
        (config([*EDGE, PACK], TRAIN), 32),  # any aspect
        (config(KEEPS), 16),  # of the backbone
        (config([dict(type='NoSuch')], TRAIN), 32),
    ],
)
def test_image_size(cfg, side):
    assert image_shape(cfg) == (3, side, side)


def test_image_size_of_validation_of_a_grid_and_of_several_sets():
    cfg = config(TRAIN)
    assert image_shape(Config(dict(val_dataloader=config(CROP).test_dataloader)), 'val')[1] == 224
    assert image_shape(config(KEEPS, model=tiny(img_size=(16, 32)))) == (3, 16, 32)
    sets = dict(type='ConcatDataset', datasets=[dict(type='D', pipeline=CROP)])
    cfg.test_dataloader.dataset = sets
    assert image_shape(cfg) == (3, 224, 224)


def test_image_size_that_nothing_tells():
    with pytest.raises(
        ValueError,
        match=r'no image size: test pipeline: KeyError: .*; train pipeline: keeps the size of '
        'its images; backbone: no img_size',
    ):
        image_shape(config([dict(type='NoSuch')], KEEPS, RESNET))


# --- settings -----------------------------------------------------------------------------------


def cell(cfg, seed=0, **levels) -> Cell:
    stages = (config(TRAIN, model=dict(type='NoSuch')), cfg)  # the first stage does not count
    return Cell('', levels, seed, stages, {}, '')


def test_each_model_is_built_once(monkeypatch):
    built = []
    train = nn.Module.train
    monkeypatch.setattr(nn.Module, 'train', lambda m, mode: built.append(m) or train(m, mode))
    wide = tiny(patch_size=8)
    cells = [
        cell(config(TRAIN, model=model, fraction=fraction), seed, model=name, fraction=fraction)
        for seed in (0, 1)
        for name, model in (('vit', tiny()), ('wide', wide))
        for fraction in ('10%', '100%')
    ]
    costs = setting_costs(cells, 'test')
    assert list(costs) == [(m, f) for m in ('vit', 'wide') for f in ('10%', '100%')]
    assert sum(type(m).__name__ == 'ImageClassifier' for m in built) == 2
    assert costs['vit', '10%'] == costs['vit', '100%']
    assert costs['vit', '10%'].gmacs > costs['wide', '10%'].gmacs > 0


def test_a_setting_without_image_size_has_parameters():
    (cost,) = setting_costs([cell(config(KEEPS, model=RESNET), model='resnet')], 'test').values()
    assert (cost.parameters, cost.gmacs) == (11_689_512, None)
    assert cost.problem.startswith('no image size: test pipeline: keeps')
