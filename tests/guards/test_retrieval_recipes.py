"""The recipes of IRT: published numbers, and a step of each type of model at reduced size."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import DATASETS, MODELS, TRANSFORMS
from mmpretrain.structures import DataSample
from read_recipes import read_recipe

from vit_plugins.config_edits.recipe_variables import apply_options

FOLDER = Path(__file__).parents[2] / 'configs/retrieval'
# of the paper, section 4 and table 2: images, memory, momentum, iterations, topk
PUBLISHED = {
    'sop': (59_551, None, 35_000, (1, 10, 100, 1000)),
    'in-shop': (5_176, 0.999, 35_000, (1, 10, 20, 30)),
    'cub': (5_864, None, 2_000, (1, 2, 4, 8)),
}
DATA = {'sop': 'StanfordOnlineProducts', 'in-shop': 'InShopRetrieval', 'cub': 'CUBRetrieval'}
# the original weights of DeiT, and the first ones of torchvision
WEIGHTS = {
    'deit-small': 'deit/deit_small_patch16_224-cd65a155.pth',
    'deit-base': 'deit/deit_base_patch16_224-b5f2ef4d.pth',
    'deit-base-distilled': 'deit/deit_base_distilled_patch16_384-d0272ac0.pth',
    'resnet50': 'models/resnet50-0676ba61.pth',
}
WIDTHS = {'deit-small': 384, 'deit-base': 768, 'resnet50': 2048}
CATEGORY = [(variant, model, data) for variant in 'olr' for model in WIDTHS for data in PUBLISHED]


def check_reading(cfg):
    """RGB with ImageNet's mean and std, and bicubic resizing, as timm evaluates DeiT."""
    norm = cfg.data_preprocessor
    assert (norm.mean, norm.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert norm.to_rgb
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        for step in loader.dataset.pipeline if loader else ():
            if step.type == 'Resize':
                assert (step.backend, step.interpolation) == ('pillow', 'bicubic')


def recipe(variant, model, data):
    pattern = f'irt-{variant}-{model}_*{data}.py'
    (path,) = FOLDER.glob(f'irt-o-{model}_{data}.py' if variant == 'o' else pattern)
    return read_recipe(path)


@pytest.mark.parametrize(('variant', 'model', 'data'), CATEGORY)
def test_category_level_is_as_published(variant, model, data):
    cfg = recipe(variant, model, data)
    memory, momentum, iterations, topk = PUBLISHED[data]
    assert cfg.test_dataloader.dataset.type == DATA[data]
    assert cfg.test_dataloader.dataset.split == 'test'
    assert tuple(cfg.test_evaluator.topk) == topk
    assert cfg.model.neck.mode == ('avg' if model == 'resnet50' else 'cls')
    assert cfg.model.init_cfg.type == 'Pretrained'
    assert cfg.model.init_cfg.checkpoint.endswith(WEIGHTS[model])
    assert 'drop_path_rate' not in cfg.model.backbone
    check_reading(cfg)
    sizes = [step.get('scale') or step.get('crop_size') for step in cfg.test_pipeline[1:3]]
    assert sizes == [(256, 256), 224]
    if variant == 'o':
        assert cfg.model.head is None
        assert (cfg.train_dataloader, cfg.train_cfg, cfg.optim_wrapper) == (None,) * 3
        return
    assert cfg.train_cfg == {'by_epoch': False, 'max_iters': iterations} | {
        'val_interval': cfg.train_cfg.val_interval
    }
    assert cfg.optim_wrapper.optimizer == {'type': 'AdamW', 'lr': 3e-5, 'weight_decay': 5e-4}
    assert 'param_scheduler' not in cfg
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    assert cfg.train_dataloader.batch_size == 64
    assert cfg.train_dataloader.dataset.split == 'train'
    drawn = cfg.train_dataloader.sampler
    if data == 'cub':
        assert drawn == {'type': 'InfiniteSampler', 'shuffle': True}
    else:
        assert drawn.infinite
        assert (drawn.type, drawn.batch_size) == ('MPerClassSampler', 64)
        assert drawn.samples_per_class == 2
    steps = [step.type for step in cfg.train_pipeline]
    assert steps == ['LoadImageFromFile', 'Resize', 'RandomCrop', 'RandomFlip', 'PackInputs']
    resize, crop, flip = cfg.train_pipeline[1:4]
    assert (resize.scale, crop.crop_size, flip.prob) == ((256, 256), 224, 0.5)
    head = cfg.model.head
    assert head.loss == {'type': 'ContrastiveLoss', 'margin': 0.5}
    assert head.memory == {'type': 'CrossBatchMemory', 'size': memory}
    assert cfg.model.get('momentum_encoder') == momentum
    koleo = {'type': 'KoLeoLoss', 'loss_weight': 0.7} if variant == 'r' else None
    assert head.get('koleo') == koleo


SFM = [
    ('irt-l-deit-small_1xb35-100e_sfm120k', 224, None),
    ('irt-r-deit-small_1xb35-100e_sfm120k', 224, 4.0),
    ('irt-l-deit-base-distilled_1xb35-100e_sfm120k-384px', 384, None),
    ('irt-r-deit-base-distilled_1xb35-100e_sfm120k-384px', 384, 4.0),
    ('irt-l-resnet50-gem_1xb35-100e_sfm120k', 224, None),
]


@pytest.mark.parametrize(('name', 'size', 'koleo'), SFM)
def test_particular_objects_are_as_published(name, size, koleo):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    assert cfg.train_cfg.max_epochs == 100
    (weights,) = (file for net, file in WEIGHTS.items() if re.match(rf'irt-.-{net}(-gem)?_', name))
    assert cfg.model.init_cfg.checkpoint.endswith(weights)
    check_reading(cfg)
    best = cfg.default_hooks.checkpoint
    assert (best.save_best, best.rule) == ('retrieval/mAP', 'greater')
    assert (cfg.test_dataloader.dataset.name, cfg.val_dataloader.dataset.split) == (
        'roxford5k',
        'val',
    )
    adam = cfg.optim_wrapper.optimizer
    assert (adam.type, adam.weight_decay) == ('Adam', 1e-6)
    assert math.isclose(adam.lr, 5e-7 * math.exp(-0.01))  # that of the first epoch
    (decay,) = cfg.param_scheduler
    assert decay.type == 'ExponentialLR'
    assert math.isclose(decay.gamma, math.exp(-0.01))
    loader = cfg.train_dataloader
    assert loader.batch_size == 35
    assert loader.sampler == {
        **{'type': 'TupleSampler', 'num_pairs': 2000},
        **{'pool_size': 22000, 'num_negatives': 5},
    }
    (mining,) = cfg.custom_hooks
    test = cfg.test_dataloader.dataset
    assert mining.pipeline == test.pipeline == loader.dataset.pipeline
    steps = [step.type for step in test.pipeline]
    assert steps == ['LoadImageFromFile', 'CropToBox', 'Resize', 'PackInputs']
    assert test.pipeline[2].scale == (size, size)
    head = cfg.model.head
    assert head.loss == {'type': 'TupleContrastiveLoss', 'tuple_size': 7, 'margin': 0.85}
    assert (head.get('koleo') or {}).get('loss_weight') == koleo
    assert 'memory' not in head
    if 'resnet' in name:
        assert cfg.model.backbone.norm_eval
        assert cfg.optim_wrapper.paramwise_cfg.custom_keys['neck.p'] == {
            'lr_mult': 10,
            'decay_mult': 0,
        }
    else:
        assert cfg.model.backbone.img_size == size


def test_pca_of_the_published_dimensions_is_fitted_to_the_training_images():
    cfg = read_recipe(FOLDER / 'irt-r-deit-small-pca128_1xb64-35k_sop.py')
    assert cfg.model.pca == {'type': 'PCAProjection', 'in_dims': 384, 'out_dims': 128}
    assert cfg.custom_hooks == [{'type': 'FitPCAHook', 'split': 'train'}]


def test_the_short_side_may_be_resized_instead():
    text = (FOLDER / 'README.md').read_text()
    words = re.search(r'--cfg-options (test_dataloader\S+) (test_dataloader\S+)`', text).groups()
    options = dict(word.split('=') for word in words)
    cfg = Config.fromfile(FOLDER / 'irt-o-deit-small_sop.py')
    apply_options(cfg, {name: int(x) if x.isdigit() else x for name, x in options.items()})
    results = {'img': np.zeros((300, 500, 3), np.uint8), 'img_shape': (300, 500)}
    shapes = []
    for step in cfg.test_dataloader.dataset.pipeline[1:3]:
        results = TRANSFORMS.build(step)(results)
        shapes.append(results['img'].shape)
    assert shapes == [(256, 426, 3), (224, 224, 3)]


STEPS = [
    ('irt-r-deit-small_1xb64-35k_sop', 8),
    ('irt-l-deit-base_1xb64-2k_cub', 8),
    ('irt-r-resnet50_1xb64-35k_in-shop', 8),
    ('irt-r-deit-small-pca128_1xb64-35k_sop', 8),
    ('irt-r-deit-small_1xb35-100e_sfm120k', 14),
    ('irt-r-deit-base-distilled_1xb35-100e_sfm120k-384px', 14),
    ('irt-l-resnet50-gem_1xb35-100e_sfm120k', 14),
    ('irt-r-deit-small_1xb64-2k_folder', 8),
]


@pytest.mark.parametrize(('name', 'batch'), STEPS)
def test_a_step_of_a_small_copy(name, batch):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    model = cfg.model.to_dict()
    del model['init_cfg']
    if 'resnet' in name:
        model['backbone'].update(depth=18, base_channels=8, stem_channels=8)
    else:
        model['backbone'].update(
            img_size=32,
            arch={
                **{'embed_dims': 128, 'num_layers': 1, 'num_heads': 2},
                **{'feedforward_channels': 64},
            },
        )
    if model.get('pca'):
        model['pca'] = {**model['pca'], 'in_dims': 128, 'out_dims': 8}
    model = MODELS.build({**model, 'data_preprocessor': cfg.data_preprocessor})
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {
        param: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for param in group['params']
    }
    usual = (cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.optimizer.weight_decay)
    names = dict(model.named_parameters())
    assert ('neck.p' in names) == ('gem' in name)
    for parameter_name, param in names.items():
        is_power = parameter_name == 'neck.p'  # of GeM
        assert rates[param] == pytest.approx((10 * usual[0], 0) if is_power else usual)
    before = [parameter.detach().clone() for parameter in model.backbone.parameters()]
    # two tuples of 2 + 5, or pairs of the same class
    labels = [0, 0, 1, 2, 3, 4, 5] * 2 if batch == 14 else [0, 0, 1, 1, 2, 2, 3, 3]
    samples = [DataSample().set_gt_label(label) for label in labels]
    data = {'inputs': torch.randint(256, (batch, 3, 32, 32)), 'data_samples': samples}
    batch_data = model.data_preprocessor(data, training=True)
    total, logged = model.parse_losses(model(**batch_data, mode='loss'))
    wrapper.update_params(total)
    assert torch.isfinite(total)
    assert 'loss_contrastive' in logged
    assert ('loss_koleo' in logged) == ('koleo' in cfg.model.head)
    after = model.backbone.parameters()
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_loaders_say_what_the_classes_take(path):
    cfg = read_recipe(path)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        if loader is not None:
            DATASETS.build({**loader.dataset, 'lazy_init': True, 'pipeline': []})
            assert TRANSFORMS.build(loader.dataset.pipeline[-1]) is not None
