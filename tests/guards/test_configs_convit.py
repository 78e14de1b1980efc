"""Every recipe of ConViT against the numbers of the paper, written down here."""

import copy
import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS
from mmpretrain.structures import DataSample
from read_recipes import read_recipe, shapes_of
from torch import nn

from vit_plugins.config_edits.fraction import use_fraction
from vit_plugins.config_edits.scale_epochs import scale_epochs
from vit_plugins.weights.index import index_models

FOLDER = Path(__file__).parents[2] / 'configs' / 'convit'


@dataclass(frozen=True)
class Recipe:
    """What recipes may differ in; batch sizes are those of all devices together."""

    backbone: str
    arch: str
    dims: int
    batch: int = 1024
    lr: float = 1e-3
    epochs: int = 300
    fraction: float | None = None
    dataset: str = 'ImageNet'


def plus(arch: str, dims: int, **more) -> Recipe:
    """Return the recipe of a "+" model: 4e-4 at batch size 512 (section 4.1, README)."""
    return Recipe('ConViT', arch, dims, 512, 4e-4, **more)


# Table 2: percent of each class, epochs (300 / fraction).
TABLE_2 = [(5, 6000), (10, 3000), (30, 1000), (50, 600)]
TABLE = {
    'convit-tiny_4xb256_in1k': Recipe('ConViT', 'tiny', 192),
    'convit-small_8xb128_in1k': Recipe('ConViT', 'small', 432),
    'convit-base_16xb64_in1k': Recipe('ConViT', 'base', 768),
    'convit-tiny-plus_8xb64_in1k': plus('tiny-plus', 256),
    'convit-small-plus_8xb64_in1k': plus('small-plus', 576),
    'convit-base-plus_8xb64_in1k': plus('base-plus', 1024),
    'convit-tiny-plus_8xb64-1000e_cifar100': plus(
        'tiny-plus', 256, epochs=1000, dataset='CIFAR100'
    ),
    'deit-small_8xb128_in1k': Recipe('VisionTransformer', 'deit-small', 384),
    **{
        f'{model}-small_8xb128_in1k --fraction {percent / 100}': Recipe(
            backbone, arch, dims, epochs=epochs, fraction=percent / 100
        )
        for percent, epochs in TABLE_2
        for model, backbone, arch, dims in (
            ('convit', 'ConViT', 'small', 432),
            ('deit', 'VisionTransformer', 'deit-small', 384),
        )
    },
}
index = functools.cache(index_models)
recipes = pytest.mark.parametrize('name', TABLE)
parts = pytest.mark.parametrize('name', [name for name in TABLE if '--fraction' in name])


@functools.cache
def read(name):
    """Read a recipe once; tests do not change it."""
    file, _, fraction = name.partition(' --fraction ')
    config = read_recipe(FOLDER / f'{file}.py')
    return use_fraction(config, float(fraction)) if fraction else config


def innermost(dataset):
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def test_the_table_knows_every_recipe():
    assert {file.stem for file in FOLDER.glob('*.py')} == {name.split()[0] for name in TABLE}


@recipes
def test_model(name):
    recipe, model = TABLE[name], read(name).model
    backbone = model.backbone
    assert (backbone.type, backbone.arch) == (recipe.backbone, recipe.arch)
    assert model.head.in_channels == recipe.dims
    assert (backbone.img_size, backbone.patch_size) == (224, 16)
    assert backbone.drop_path_rate == 0.1
    assert backbone.get('drop_rate', 0) == 0
    assert model.head.loss.label_smooth_val == 0.1
    assert [(a.type, a.alpha) for a in model.train_cfg.augments] == [
        ('Mixup', 0.8),
        ('CutMix', 1.0),
    ]
    assert 'probs' not in model.train_cfg  # each batch gets one of the two, with equal chance
    classes = 100 if recipe.dataset == 'CIFAR100' else 1000
    assert model.head.num_classes == read(name).data_preprocessor.num_classes == classes


@recipes
def test_data(name):
    recipe, config = TABLE[name], read(name)
    dataset = config.train_dataloader.dataset
    if recipe.fraction is None:
        assert dataset.type == recipe.dataset
    else:  # the first images of each class, in the training only
        assert (dataset.type, dataset.fraction, dataset.mode) == (
            'ClassSubset',
            recipe.fraction,
            'first',
        )
    leaf = innermost(dataset)
    assert leaf.type == recipe.dataset
    assert leaf.split == 'train'
    assert config.val_dataloader.dataset.type == recipe.dataset
    devices, images = map(int, re.search(r'\d+xb\d+', name)[0].split('xb'))
    assert config.train_dataloader.batch_size == images
    assert config.train_dataloader.drop_last is True  # as the authors' main.py
    assert devices * images == recipe.batch == config.auto_scale_lr.base_batch_size
    sampler = config.train_dataloader.sampler
    assert (sampler.type, sampler.num_repeats) == ('RepeatAugSampler', 3)


@recipes
def test_augmentation(name):
    config = read(name)
    steps = {step.type: step for step in innermost(config.train_dataloader.dataset).pipeline}
    assert 'ColorJitter' not in steps  # inactive beside RandAugment
    crop, rand, erase = (steps[s] for s in ('RandomResizedCrop', 'RandAugment', 'RandomErasing'))
    assert (crop.scale, crop.interpolation, crop.backend) == (224, 'bicubic', 'pillow')
    crop = TRANSFORMS.build(crop)
    assert (crop.crop_ratio_range, crop.aspect_ratio_range) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert (steps['RandomFlip'].prob, steps['RandomFlip'].direction) == (0.5, 'horizontal')
    assert rand.policies == 'timm_increasing'  # rand-m9-mstd0.5-inc1
    assert (rand.magnitude_level, rand.total_level, rand.magnitude_std) == (9, 10, 0.5)
    assert (rand.num_policies, rand.hparams.interpolation) == (2, 'bicubic')
    assert (erase.erase_prob, erase.mode) == (0.25, 'rand')
    assert (erase.min_area_ratio, erase.max_area_ratio) == (0.02, 1 / 3)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # RGB
    order = 1 if TABLE[name].dataset == 'CIFAR100' else -1  # files are read as BGR
    assert (erase.fill_color, erase.fill_std) == (mean[::order], std[::order])  # 'pixel' of timm
    assert rand.hparams.pad_val == [124, 116, 104][::order]
    for loader in ('val', 'test'):
        steps = {s.type: s for s in config[f'{loader}_dataloader'].dataset.pipeline}
        edge = steps['ResizeEdge']
        assert (edge.scale, edge.edge) == (256, 'short')
        assert (edge.interpolation, edge.backend) == ('bicubic', 'pillow')
        assert steps['CenterCrop'].crop_size == 224
    assert (config.data_preprocessor.mean, config.data_preprocessor.std) == (mean, std)


@recipes
def test_optimizer(name):
    recipe, wrapper = TABLE[name], read(name).optim_wrapper
    assert wrapper.optimizer == dict(
        type='AdamW', lr=recipe.lr, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)
    )
    if recipe.batch == 1024:
        assert recipe.lr == 5e-4 * recipe.batch / 512
    assert wrapper.get('clip_grad') is None
    hooks = [*read(name).get('custom_hooks', []), *read(name).default_hooks.values()]
    assert 'EMAHook' not in {hook.type for hook in hooks}
    assert '--amp' in (FOLDER / f'{name.split()[0]}.py').read_text()


@recipes
def test_schedule(name):
    """The official timing: epochs 0 and 1 start the warm-up, epoch e has the value of e - 1."""
    recipe, config = TABLE[name], read(name)
    assert (config.train_cfg.by_epoch, config.train_cfg.max_epochs) == (True, recipe.epochs)
    (settings,) = config.param_scheduler
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=recipe.lr)
    end = dict(end=config.train_cfg.max_epochs)  # as the runner gives it
    scheduler = PARAM_SCHEDULERS.build({**settings, **end}, default_args={'optimizer': optimizer})
    seen = []
    for _ in range(recipe.epochs):
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    for epoch in (0, 1, 2, 5, 6, 7, recipe.epochs // 2, recipe.epochs - 1):
        t = max(epoch - 1, 0)
        cosine = (1 + math.cos(math.pi * t / recipe.epochs)) / 2
        expected = 1e-5 + (recipe.lr - 1e-5) * cosine
        if t < 5:
            expected = 1e-6 + t * (recipe.lr - 1e-6) / 5
        assert seen[epoch] == pytest.approx(expected, rel=1e-9), epoch


@parts
def test_a_part_of_the_images_is_the_whole_recipe_with_epochs_scaled(name):
    recipe, part = TABLE[name], read(name)
    whole = scale_epochs(
        read_recipe(FOLDER / f'{name.split("_")[0]}_8xb128_in1k.py'), recipe.fraction
    )
    wrapper = part.train_dataloader.dataset
    assert wrapper.dataset == whole.train_dataloader.dataset
    whole.train_dataloader.dataset = wrapper
    assert part.to_dict() == whole.to_dict()


@pytest.mark.parametrize('name', [name for name in TABLE if name.startswith('deit')])
def test_both_models_have_one_recipe(name):
    convit, deit = read(name.replace('deit', 'convit')), read(name)
    for key in convit:
        if key != 'model':
            assert convit[key] == deit[key], key
    for key in ('loss', 'type', 'init_cfg', 'num_classes'):
        assert convit.model.head[key] == deit.model.head[key]
    assert convit.model.train_cfg == deit.model.train_cfg
    assert convit.model.init_cfg == deit.model.init_cfg


@pytest.mark.parametrize(
    ('name', 'parameters'),
    # ConViT-S: counted in the official code; DeiT-S: the table of its authors has 22M
    [('convit-small_8xb128_in1k', 27_777_322), ('deit-small_8xb128_in1k', 22_050_664)],
)
def test_parameters(name, parameters):
    model = shapes_of(read(name).model)
    assert sum(param.numel() for param in model.parameters()) == parameters


def multiply_adds(dims: int, tokens: list[int]) -> int:
    """Count those of patches, layers (qkv, projection, FFN; attention) and head by hand.

    The positional part is left out; tests/test_studies/test_model_cost.py counts it with torch.
    """
    layers = sum(12 * n * dims**2 + 2 * n**2 * dims for n in tokens)
    return 196 * 768 * dims + layers + 1000 * dims


@pytest.mark.parametrize(
    ('name', 'millions'),
    [
        ('convit-tiny_4xb256_in1k', 1248),
        ('convit-tiny-plus_8xb64_in1k', 2126),
        ('convit-small_8xb128_in1k', 5736),
        ('convit-small-plus_8xb64_in1k', 9991),
        ('convit-base_16xb64_in1k', 17487),
        ('convit-base-plus_8xb64_in1k', 30721),
        ('deit-small_8xb128_in1k', 4599),
    ],
)
def test_multiply_adds_of_the_metafile(name, millions):
    tokens = [197] * 12 if name.startswith('deit') else [196] * 10 + [197] * 2
    assert round(multiply_adds(TABLE[name].dims, tokens) / 1e6) == millions
    entries = [m for m in index().values() if m.config.endswith(f'/{name}.py')]
    assert {entry.metadata.flops for entry in entries} == {1e6 * millions}


@pytest.mark.parametrize('name', ['convit-small_8xb128_in1k', 'deit-small_8xb128_in1k'])
def test_one_step(name):
    config = copy.deepcopy(read(name))
    arch = dict(embed_dims=8, num_layers=2, num_heads=4, feedforward_channels=16)
    config.model.backbone.update(arch=arch, img_size=32, patch_size=16)
    if name.startswith('convit'):
        config.model.backbone.num_local_layers = 1
    config.model.head.in_channels = 8
    config.model.data_preprocessor = config.data_preprocessor
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config.model)
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    model.init_weights()
    model.train()
    groups = {(group['weight_decay'], p.ndim > 1) for group in wrapper.optimizer.param_groups
              for p in group['params']}  # fmt: skip
    assert groups == {(0.05, True), (0.0, False)}  # biases, norms and gates are not decayed
    before = {key: param.clone() for key, param in model.named_parameters()}
    samples = [DataSample().set_gt_label(label) for label in (1, 7)]
    images = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in samples]
    losses = model.train_step(dict(inputs=images, data_samples=samples), wrapper)
    assert losses['loss'].isfinite()
    same = {key for key, param in model.named_parameters() if torch.equal(before[key], param)}
    assert same <= {'backbone.layers.0.attn.pos_proj.bias'}  # adds a constant before a softmax
