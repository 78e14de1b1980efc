"""Every recipe of DeiT III against the numbers of the authors' commands, README_revenge.md.

The table below is transcribed from there (400 epochs: deit3-jax; transfer: deit #175 and #45),
not read from the configs.
"""

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.dataset import Compose
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.datasets import CIFAR10, CIFAR100, Flowers102, ImageNet, ImageNet21k, StanfordCars
from mmpretrain.datasets.samplers import repeat_aug
from mmpretrain.registry import DATASETS, MODELS, OPTIMIZERS, PARAM_SCHEDULERS, TRANSFORMS
from mmpretrain.structures import DataSample
from read_recipes import read_recipe, shapes_of
from timm.optim import Lamb
from timm.scheduler import CosineLRScheduler

from vit_plugins.config_edits.dataset_by_name import apply_data
from vit_plugins.weights.index import index_models

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'deit3'


@dataclass(frozen=True)
class Recipe:
    """The settings of the authors' command."""

    optimizer: str
    lr: float
    decay: float
    epochs: int
    batch: tuple[int, int]  # GPUs, images on each
    size: int
    drop_path: float
    classes: int = 1000
    loss: str = 'bce'  # or ce: softmax, smoothing 0.1
    mixup: float = 0.8
    cutmix: float = 1.0
    repeats: int = 3
    crop: str = 'RandomResizedCrop'
    policy: str = 'ThreeAugment'
    unsourced: tuple[str, ...] = ()  # what no command of the authors says

    @property
    def total_batch(self):
        return self.batch[0] * self.batch[1]


def scratch(lr, epochs, batch, size, drop_path, decay=0.05, unsourced=()):
    return Recipe('Lamb', lr, decay, epochs, batch, size, drop_path, unsourced=unsourced)


def fine_tuned(size, batch, drop_path):
    rest = dict(loss='ce', repeats=1, policy='RandAugment')
    return Recipe('AdamW', 1e-5, 0.1, 20, batch, size, drop_path, **rest)


def from_21k(lr, epochs, batch, drop_path, size=224, classes=1000, unsourced=()):
    rest = dict(loss='ce', mixup=0.0, repeats=1, crop='SimpleRandomCrop', classes=classes)
    return Recipe('Lamb', lr, 0.02, epochs, batch, size, drop_path, unsourced=unsourced, **rest)


def transferred(classes):
    rest = dict(loss='ce', repeats=1, policy='RandAugment', classes=classes)
    every = ('lr', 'decay', 'epochs', 'batch', 'policy', 'loss')
    return Recipe('SGD', 0.01, 1e-4, 1000, (8, 96), 224, 0.0, unsourced=every, **rest)


OURS, IN21K = ('decay', 'drop_path'), ('classes',)
TABLE = {
    'small-p16_8xb256-800e_in1k': scratch(4e-3, 800, (8, 256), 224, 0.05),
    'base-p16_8xb256-800e_in1k-192px': scratch(3e-3, 800, (8, 256), 192, 0.2),
    'large-p16_32xb64-800e_in1k-192px': scratch(3e-3, 800, (32, 64), 192, 0.45),
    'huge-p14_32xb64-800e_in1k-154px': scratch(3e-3, 800, (32, 64), 154, 0.6, 0.05, ('size',)),
    'small-p16_8xb256-400e_in1k': scratch(4e-3, 400, (8, 256), 224, 0.0, 0.02, OURS),
    'base-p16_8xb256-400e_in1k-192px': scratch(3e-3, 400, (8, 256), 192, 0.1, 0.02, OURS),
    'large-p16_32xb64-400e_in1k-192px': scratch(3e-3, 400, (32, 64), 192, 0.4, 0.02, OURS),
    'huge-p14_32xb64-400e_in1k-154px': scratch(3e-3, 400, (32, 64), 154, 0.5, 0.02, OURS),
    'base-p16_ft-8xb64-20e_in1k-224px': fine_tuned(224, (8, 64), 0.2),
    'large-p16_ft-8xb64-20e_in1k-224px': fine_tuned(224, (8, 64), 0.45),
    'huge-p14_ft-16xb32-20e_in1k-224px': fine_tuned(224, (16, 32), 0.55),
    'small-p16_ft-8xb64-20e_in1k-384px': fine_tuned(384, (8, 64), 0.0),
    'base-p16_ft-8xb64-20e_in1k-384px': fine_tuned(384, (8, 64), 0.15),
    'large-p16_ft-8xb64-20e_in1k-384px': fine_tuned(384, (8, 64), 0.4),
    'small-p16_16xb128-240e_in21k': from_21k(1e-3, 240, (16, 128), 0.05, 224, 21841, IN21K),
    'base-p16_32xb64-240e_in21k': from_21k(1e-3, 240, (32, 64), 0.1, 224, 21841, IN21K),
    'large-p16_32xb64-240e_in21k': from_21k(1e-3, 240, (32, 64), 0.3, 224, 21841, IN21K),
    'huge-p14_32xb64-90e_in21k-126px': from_21k(
        1e-3, 90, (32, 64), 0.5, 126, 21841, (*IN21K, 'size')
    ),
    'small-p16_in21k-pre_16xb128-50e_in1k': from_21k(3e-4, 50, (16, 128), 0.05),
    'base-p16_in21k-pre_32xb64-50e_in1k': from_21k(3e-4, 50, (32, 64), 0.15),
    'large-p16_in21k-pre_32xb64-50e_in1k': from_21k(3e-4, 50, (32, 64), 0.4),
    'huge-p14_in21k-pre_32xb64-50e_in1k': from_21k(3e-4, 50, (32, 64), 0.45),
    'small-p16_in1k-pre_8xb96-1000e --data cifar10': transferred(10),
    'small-p16_in1k-pre_8xb96-1000e --data cifar100': transferred(100),
    'small-p16_in1k-pre_8xb96-1000e --data flowers102': transferred(102),
    'small-p16_in1k-pre_8xb96-1000e --data stanford-cars': transferred(196),
    'small-p16_in1k-pre_8xb96-1000e --data inat2018': transferred(8142),
    'small-p16_in1k-pre_8xb96-1000e --data inat2019': transferred(1010),
}
# width, layers, heads, patch (DeiT III, Table 1), and the tensors that are not decayed: ten in a
# layer, final norm, class token, position embedding, biases of patches and head.
ARCHES = {
    'small': (384, 12, 6, 16, 126),
    'base': (768, 12, 12, 16, 126),
    'large': (1024, 24, 16, 16, 246),
    'huge': (1280, 32, 16, 14, 326),
}
recipes = pytest.mark.parametrize('name', TABLE)
file_of = {name: FOLDER / f'deit3-{name.split()[0]}.py' for name in TABLE}


@pytest.fixture(scope='module')
def config_of():
    """Read each recipe once."""
    read = {}

    def get(name):
        if name not in read:
            read[name] = read_recipe(file_of[name])
            if '--data' in name:
                read[name] = apply_data(read[name], name.split()[-1])
        return read[name].copy()

    return get


def steps(config, part):
    """Return the transforms of a pipeline by name, with all their arguments."""
    return {step['type']: step for step in config[f'{part}_dataloader'].dataset.pipeline}


def test_the_table_knows_every_recipe():
    files = {file for file in FOLDER.glob('deit3-*.py') if not file.stem.startswith('deit3-dim')}
    assert files == set(file_of.values())


@recipes
def test_model(name, config_of):
    recipe = TABLE[name]
    model = shapes_of(config_of(name).model)
    backbone, head = model.backbone, model.head
    width, depth, heads, patch, _ = ARCHES[name.split('-')[0]]
    assert (backbone.embed_dims, len(backbone.layers)) == (width, depth)
    assert backbone.layers[0].attn.num_heads == heads
    assert backbone.pos_embed.shape == (1, (recipe.size // patch) ** 2, width)
    assert head.layers.head.weight.shape == (recipe.classes, width)
    drops = {d.drop_prob for layer in backbone.layers for d in drop_paths(layer)}
    assert drops == {recipe.drop_path}  # one rate, no ramp
    dropouts = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert not any(dropouts)
    own = {'arch', 'drop_path_rate', 'img_size', 'type'}  # LayerScale is the backbone's 1e-4
    assert config_of(name).model.backbone.keys() <= own
    assert sum(len(drop_paths(layer)) for layer in backbone.layers) == 2 * depth


def drop_paths(layer):
    return [module for module in layer.modules() if type(module).__name__ == 'DropPath']


def test_multiply_adds_of_the_released_weights():
    """OpenMMLab's counter adds a little for the norms to what patches, layers and head need."""
    listed = [m for m in index_models().values() if 'deit3vit' in m.name and m.metadata.flops]
    assert len(listed) == 14
    for entry in listed:
        width, depth, _, patch, _ = ARCHES[entry.name.split('-')[1]]
        patches = ((384 if '384px' in entry.name else 224) // patch) ** 2
        n = patches + 1
        layers = depth * (12 * n * width**2 + 2 * n**2 * width)
        by_hand = patches * 3 * patch**2 * width + layers + 1000 * width
        assert 1 < entry.metadata.flops / by_hand < 1.002, entry.name


@recipes
def test_loss_and_mixing(name, config_of):
    recipe, config = TABLE[name], config_of(name)
    loss = shapes_of(config.model).head.loss_module
    if recipe.loss == 'bce':
        assert type(loss).__name__ == 'BinaryCrossEntropyLoss'
        assert loss.target_threshold == 0
        assert loss.label_smooth_val == 0
    else:
        scores, labels = torch.randn(4, recipe.classes), torch.tensor([0, 1, 2, 3])
        expected = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
        torch.testing.assert_close(loss(scores, labels, avg_factor=4), expected)
    augments = shapes_of(config.model).data_preprocessor.batch_augments
    alphas = {type(item).__name__: item.alpha for item in augments.augments}
    assert alphas == {
        kind: alpha
        for kind, alpha in (('Mixup', recipe.mixup), ('CutMix', recipe.cutmix))
        if alpha
    }
    assert augments.probs is None or sum(augments.probs) == 1  # every batch, equal chances


@recipes
def test_data(name, config_of):
    recipe, config = TABLE[name], config_of(name)
    train, test = steps(config, 'train'), steps(config, 'test')
    # ThreeAugment flips by itself
    policy = ['RandomFlip'] * (recipe.policy != 'ThreeAugment') + [recipe.policy]
    assert [key for key in train if key != 'LoadImageFromFile'] == [
        recipe.crop, *policy, 'PackInputs',
    ]  # fmt: skip
    crop = TRANSFORMS.build(train[recipe.crop])
    if recipe.crop == 'RandomResizedCrop':
        assert crop.scale == (recipe.size, recipe.size)
        assert crop.crop_ratio_range == (0.08, 1.0)
        assert crop.aspect_ratio_range == (3 / 4, 4 / 3)
        assert (crop.backend, crop.interpolation) == ('pillow', 'bicubic')
    else:
        assert (crop.crop_size, crop.padding, crop.axes) == (recipe.size, 4, 'both')
    if recipe.policy == 'ThreeAugment':
        three = TRANSFORMS.build(train['ThreeAugment'])
        assert three.members == ('grayscale', 'solarize', 'blur')
        assert (three.weights, three.color_jitter, three.flip_prob) == (None, 0.3, 0.5)
        assert (three.solarize_threshold, three.blur_radius) == (128, (0.1, 2.0))
    else:
        assert TRANSFORMS.build(train['RandomFlip']).prob == 0.5
    for part in ('val', 'test'):  # crop ratio 1.0: the whole short side
        assert steps(config, part) == test
    assert test['ResizeEdge']['scale'] == test['CenterCrop']['crop_size'] == recipe.size
    edge = test['ResizeEdge']
    assert (edge['edge'], edge['interpolation'], edge['backend']) == ('short', 'bicubic', 'pillow')
    loader = config.train_dataloader
    assert loader.batch_size == recipe.batch[1]
    assert loader.sampler.get('num_repeats', 1) == recipe.repeats
    assert (loader.sampler.type == 'RepeatAugSampler') == (recipe.repeats > 1)
    assert loader.get('drop_last', False) == (recipe.optimizer != 'SGD')
    assert config.data_preprocessor.num_classes == recipe.classes
    assert config.data_preprocessor.to_rgb != ('cifar' in name)  # arrays in RGB, files in BGR
    assert tuple(config.data_preprocessor.mean) == (123.675, 116.28, 103.53)
    assert tuple(config.data_preprocessor.std) == (58.395, 57.12, 57.375)


@recipes
def test_optimizer(name, config_of):
    recipe, config = TABLE[name], config_of(name)
    model = shapes_of(config.model)
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    assert type(optimizer).__name__ == recipe.optimizer
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    decay = {names[id(g['params'][0])]: g['weight_decay'] for g in optimizer.param_groups}
    spared = {
        key
        for key, parameter in model.named_parameters()
        if parameter.ndim <= 1 or key.endswith(('pos_embed', 'cls_token'))
    }
    assert decay == {key: 0 if key in spared else recipe.decay for key in names.values()}
    assert len(spared) == ARCHES[name.split('-')[0]][-1]
    assert {group['lr'] for group in optimizer.param_groups} == {recipe.lr}
    assert 'clip_grad' not in config.optim_wrapper
    hooks = [*config.get('custom_hooks', []), *config.default_hooks.values()]
    assert 'EMAHook' not in {hook.type for hook in hooks}  # the authors report the raw weights
    settings = optimizer.defaults
    if recipe.optimizer == 'SGD':
        assert (settings['momentum'], settings['nesterov']) == (0.9, True)
    else:
        assert (settings['eps'], tuple(settings['betas'])) == (1e-8, (0.9, 0.999))
    if recipe.optimizer == 'Lamb':
        assert settings['max_grad_norm'] == 1
        assert settings['bias_correction']
        assert not settings['always_adapt']


@recipes
def test_schedule_is_that_of_the_official_loop(name, config_of):
    """Compared with timm's scheduler, which gets the number of each epoch after that epoch."""
    recipe, config = TABLE[name], config_of(name)
    epochs = config.train_cfg.max_epochs
    assert epochs == recipe.epochs
    oracle = CosineLRScheduler(
        sgd(recipe.lr), epochs, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6, cycle_limit=1
    )
    expected = []
    for epoch in range(epochs):
        expected.append(oracle.optimizer.param_groups[0]['lr'])
        oracle.step(epoch)
    (settings,) = config.param_scheduler
    assert 'convert_to_iter_based' not in settings  # a step is an epoch
    ours = PARAM_SCHEDULERS.build({'end': epochs, **settings, 'optimizer': sgd(recipe.lr)})
    rates = []
    for _ in range(epochs):
        rates.append(ours.optimizer.param_groups[0]['lr'])
        ours.optimizer.step()
        ours.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-9)
    assert rates[0] == rates[1] == 1e-6
    assert np.argmax(rates) == 6  # the first after the warm-up
    assert rates[epochs // 2 + 1] == pytest.approx((recipe.lr + 1e-5) / 2)
    assert 1e-5 <= rates[-1] < 1.2e-5
    if recipe.optimizer == 'AdamW':
        assert rates[6:] == [1e-5] * 14


def sgd(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def test_first_epochs_of_the_small_model():
    """Learning rate 4e-3 over 800 epochs, computed by hand."""
    config = Config.fromfile(file_of['small-p16_8xb256-800e_in1k'])
    schedule = PARAM_SCHEDULERS.build(
        {'end': 800, **config.param_scheduler[0], 'optimizer': sgd(4e-3)}
    )
    rates = []
    for _ in range(7):
        rates.append(schedule.optimizer.param_groups[0]['lr'])
        schedule.optimizer.step()
        schedule.step()
    assert rates == pytest.approx(
        [1e-6, 1e-6, 0.8008e-3, 1.6006e-3, 2.4004e-3, 3.2002e-3, 3.999615e-3], rel=1e-6
    )


@recipes
def test_batch_and_header(name, config_of):
    recipe, config = TABLE[name], config_of(name)
    # The learning rate is meant for this batch, whatever the flag --auto-scale-lr finds.
    assert config.auto_scale_lr.base_batch_size == recipe.total_batch
    assert '{}xb{}'.format(*recipe.batch) in name
    header = re.match(r'(?:#.*\n)*', file_of[name].read_text())[0]
    assert '--amp' in header
    nodes = int(re.search(r'NNODES=(\d+)', header)[1]) if 'NNODES' in header else 1
    assert 8 * nodes == recipe.batch[0]


def sources(file):
    """Return the text of a config and of all files that it inherits from."""
    text = file.read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            bases = ast.literal_eval(node.value)
            for base in [bases] if isinstance(bases, str) else bases:
                text += sources(file.parent / base)
    return text


@recipes
def test_what_no_command_says_is_marked(name):
    assert ('unsourced' in sources(file_of[name])) >= bool(TABLE[name].unsourced)
    if TABLE[name].unsourced in (OURS, ('size',)):
        assert 'unsourced' in file_of[name].read_text()


def batch_of(config, labels):
    """Return a batch of random images after the training pipeline."""
    pipeline = [s for s in config.train_dataloader.dataset.pipeline if 'Load' not in s['type']]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
    rng = np.random.default_rng(0)
    batch = [
        pipeline({'img': rng.integers(0, 256, (90, 120, 3), 'uint8'), 'gt_label': label})
        for label in labels
    ]
    return {key: [item[key] for item in batch] for key in ('inputs', 'data_samples')}


@recipes
def test_one_step_at_reduced_size(name, config_of):
    """With the real pipeline at its own size, a model of one layer, and an odd batch size."""
    recipe, config = TABLE[name], config_of(name)
    patch = ARCHES[name.split('-')[0]][3]
    config.model.backbone.update(
        arch=dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=8),
        patch_size=patch,
    )
    config.model.head.update(in_channels=8, num_classes=7)
    config.model.data_preprocessor = dict(config.data_preprocessor, num_classes=7)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config.model)
        model.init_weights()
        model.train()
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    assert isinstance(wrapper, OptimWrapper)
    data = batch_of(config, (0, 3, 6))
    assert {tuple(image.shape) for image in data['inputs']} == {(3, recipe.size, recipe.size)}
    before = {key: value.clone() for key, value in model.named_parameters()}
    loss = model.train_step(data, wrapper)['loss']
    assert loss.item() == pytest.approx(np.log(2 if recipe.loss == 'bce' else 7), abs=0.1)
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert {'head.layers.head.weight', 'head.layers.head.bias', 'backbone.ln1.bias'} <= moved
    assert all(value.isfinite().all() for value in model.parameters())
    sample = model.eval().val_step(data)[0]
    assert isinstance(sample, DataSample)
    if recipe.loss == 'ce':
        assert sample.pred_score.sum().item() == pytest.approx(1)
    else:  # near half of the chances for each of seven classes
        assert 2.5 < sample.pred_score.sum().item() < 4.5


def test_recipe_of_our_own_for_class_folders():
    """ConViT, DRLoc, 3-Augment and SRC: settings, schedule and a step."""
    config = Config.fromfile(FOLDER.parent / 'convit_drloc_3aug_folder.py')
    transforms = [key for key in steps(config, 'train') if key != 'LoadPhoto']
    assert transforms == ['SimpleRandomCrop', 'ThreeAugment', 'PackInputs']
    assert (config.model.backbone.type, config.model.head.type) == ('ConViT', 'DRLocHead')
    arch = dict(embed_dims=16, num_heads=4, num_layers=2)
    config.model.backbone.update(arch=dict(arch, feedforward_channels=16), num_local_layers=1)
    config.model.head.update(in_channels=16, num_pairs=4)
    config.model.head.head.in_channels = 16
    config.model.data_preprocessor = config.data_preprocessor
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config.model)
        model.init_weights()
        wrapper = build_optim_wrapper(model.train(), config.optim_wrapper)
    groups = wrapper.optimizer.param_groups
    decay = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    assert decay == {id(p): 0.05 if p.ndim > 1 else 0 for p in trained.values()}
    data = batch_of(config, (0, 1, 1, 0))
    assert {tuple(image.shape) for image in data['inputs']} == {(3, 128, 128)}
    before = {key: value.clone() for key, value in trained.items()}
    losses = model.train_step(data, wrapper)
    assert losses['loss_cls'].item() == pytest.approx(np.log(2), abs=0.1)
    assert losses['loss_drloc'] > 0
    assert not [key for key, value in trained.items() if torch.equal(value, before[key])]
    (settings,) = config.param_scheduler
    settings.pop('convert_to_iter_based')
    schedule = PARAM_SCHEDULERS.build({'end': 100, **settings, 'optimizer': sgd(5e-4)})
    rates = []
    for _ in range(config.train_cfg.max_epochs):
        rates.append(schedule.optimizer.param_groups[0]['lr'])
        schedule.optimizer.step()
        schedule.step()
    assert (rates[0], max(rates), np.argmax(rates)) == (1e-6, pytest.approx(5e-4, rel=0.01), 5)
    assert 1e-5 <= rates[-1] < 1.2e-5


def test_randaugment_is_timms_m9_mstd05_inc1(config_of):
    step = steps(config_of('base-p16_ft-8xb64-20e_in1k-224px'), 'train')['RandAugment']
    policy = TRANSFORMS.build(step)
    assert policy.num_policies == 2
    assert (policy.magnitude_level, policy.total_level, policy.magnitude_std) == (9, 10, 0.5)
    names = [
        item.__class__.__name__ if not isinstance(item, dict) else item['type']
        for item in policy.transforms
    ]
    assert names == [
        'AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize', 'SolarizeAdd',
        'ColorTransform', 'Contrast', 'Brightness', 'Sharpness', 'Shear', 'Shear', 'Translate',
        'Translate',
    ]  # fmt: skip
    assert {item.prob for item in policy.transforms} == {0.5}
    by_name = dict(zip(names, policy.transforms, strict=True))
    for name, limits in {  # "increasing": the worse, the higher the magnitude
        'Rotate': (0, 30),
        'Posterize': (4, 0),
        'Solarize': (256, 0),
        'SolarizeAdd': (0, 110),
        'Contrast': (0, 0.9),
    }.items():
        assert tuple(by_name[name].magnitude_range) == limits
    assert by_name['Rotate'].pad_val == (104, 116, 124)  # BGR
    assert by_name['Rotate'].interpolation == 'bicubic'
    cifar = config_of('small-p16_in1k-pre_8xb96-1000e --data cifar10')
    assert steps(cifar, 'train')['RandAugment']['hparams']['pad_val'] == [124, 116, 104]  # RGB


def test_lamb_is_timms():
    """Twenty steps, with and without weight decay, with gradients above the clip."""
    optim = Config.fromfile(FOLDER.parent / '_base_/schedules/lamb_800e_deit3.py').optim_wrapper

    def groups():
        generator = torch.Generator().manual_seed(0)
        weight, bias = (torch.randn(s, generator=generator) for s in ((6, 5), (5,)))
        parameters = [torch.nn.Parameter(weight), torch.nn.Parameter(bias)]
        decays = (optim.optimizer.weight_decay, 0.0)
        return [dict(params=[p], weight_decay=d) for p, d in zip(parameters, decays, strict=True)]

    ours = OPTIMIZERS.build(dict(optim.optimizer, params=groups()))
    oracle = Lamb(groups(), lr=3e-3, eps=1e-8, max_grad_norm=1.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        gradients = [3 * torch.randn(shape, generator=generator) for shape in ((6, 5), (5,))]
        for optimizer in (ours, oracle):
            for group, gradient in zip(optimizer.param_groups, gradients, strict=True):
                group['params'][0].grad = gradient.clone()
            optimizer.step()
    for group, expected in zip(ours.param_groups, oracle.param_groups, strict=True):
        torch.testing.assert_close(group['params'], expected['params'], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ('devices', 'batch', 'batches'),  # the last four are ConViT's
    [(8, 256, 625), (32, 64, 625), (4, 256, 1251), (8, 128, 1251), (16, 64, 1251), (8, 64, 2502)],
)
def test_repeated_augmentation_on_imagenet(devices, batch, batches, monkeypatch):
    """Each GPU gets as many batches as in the official code, which also rounds down to 256."""
    monkeypatch.setattr(repeat_aug, 'get_dist_info', lambda: (0, devices))
    sampler = repeat_aug.RepeatAugSampler(range(1281167), num_repeats=3, seed=0)
    official = 1281167 // 256 * 256 // devices
    assert len(sampler) // batch == official // batch == batches
    if devices == 8:
        assert (len(sampler), official) == (160146, 160128)


def test_copies_of_an_image_go_to_different_ranks(monkeypatch):
    """An epoch uses a third of the images, each on three ranks."""
    drawn = []
    for rank in range(8):
        monkeypatch.setattr(repeat_aug, 'get_dist_info', lambda rank=rank: (rank, 8))
        drawn.append(list(repeat_aug.RepeatAugSampler(range(2400), num_repeats=3, seed=0)))
    assert {len(indices) for indices in drawn} == {300}
    assert all(len(set(indices)) == 300 for indices in drawn)
    images, counts = np.unique(np.concatenate(drawn), return_counts=True)
    assert len(images) == 800
    assert set(counts) == {3}


def test_loader_drops_the_rest_and_seeds_the_sampler(config_of):
    config = config_of('small-p16_8xb256-800e_in1k')
    loader = dict(config.train_dataloader, batch_size=500, num_workers=0)
    loader['dataset'] = dict(type='Digits', split='trainval', pipeline=[])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = Runner.build_dataloader(loader, seed=config.randomness.seed)
    assert (len(built.dataset), len(built)) == (1438, 2)
    # the official stream is seeded by the epoch alone
    assert built.sampler.seed == 0


@pytest.mark.parametrize(('batch', 'repeats'), [(7, 1), (1, 1), (8, 3)])
def test_mixing_takes_any_batch(batch, repeats, config_of):
    """Pairs come from a permutation, so odd batch sizes can be mixed, too."""
    config = config_of('small-p16_8xb256-800e_in1k')
    preprocessor = MODELS.build(
        dict(
            config.data_preprocessor,
            type='ClsDataPreprocessor',
            num_classes=4,
            batch_augments=config.model.train_cfg,
        )
    )
    for _ in range(4):
        samples = [DataSample().set_gt_label(i % 4) for i in range(batch)]
        inputs = torch.randint(0, 256, (batch, 3, 8, 8), dtype=torch.uint8)
        out = preprocessor(dict(inputs=inputs, data_samples=samples), training=True)
        scores = torch.stack([sample.gt_score for sample in out['data_samples']])
        assert torch.allclose(scores.sum(1), torch.ones(batch))
        assert len(out['inputs']) == batch


def test_lists_of_imagenet21k_are_made_as_the_config_says(tmp_path, monkeypatch, config_of):
    """Runs the commands of its header; then the host's dataset reads the lists."""
    source = (FOLDER.parent / '_base_/datasets/imagenet21k_deit3_224.py').read_text()
    commands = re.search(r'mkdir -p meta\n(?:#   .*\n)+', source)[0]
    commands = re.sub(r'^#   ', '', commands, flags=re.M)
    for folder in ('imagenet21k/train/n02', 'imagenet21k/train/n01', 'imagenet/val/n02',
                   'imagenet/val/n09'):  # fmt: skip
        (tmp_path / 'data' / folder).mkdir(parents=True)
        (tmp_path / 'data' / folder / 'x_1.JPEG').touch()
    subprocess.run(['bash', '-ec', commands], cwd=tmp_path / 'data/imagenet21k', check=True)
    monkeypatch.chdir(tmp_path)
    config = config_of('small-p16_16xb128-240e_in21k')

    def read(part):
        dataset = DATASETS.build(dict(config[f'{part}_dataloader'].dataset, pipeline=[]))
        assert isinstance(dataset, ImageNet21k)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        return {info['img_path']: info['gt_label'] for info in infos}

    assert read('train') == {
        'data/imagenet21k/train/n01/x_1.JPEG': 0,
        'data/imagenet21k/train/n02/x_1.JPEG': 1,
    }
    # n09 is no class of the training
    assert read('val') == {'data/imagenet/val/n02/x_1.JPEG': 1}


@pytest.mark.parametrize(
    ('name', 'kind', 'splits'),
    [
        ('small-p16_8xb256-800e_in1k', ImageNet, ('train', 'val')),
        ('small-p16_in1k-pre_8xb96-1000e --data cifar10', CIFAR10, ('train', 'test')),
        ('small-p16_in1k-pre_8xb96-1000e --data cifar100', CIFAR100, ('train', 'test')),
        ('small-p16_in1k-pre_8xb96-1000e --data flowers102', Flowers102, ('trainval', 'test')),
        ('small-p16_in1k-pre_8xb96-1000e --data stanford-cars', StanfordCars, ('train', 'test')),
    ],
)
def test_data_sets_are_the_hosts(name, kind, splits, config_of):
    config = config_of(name)
    loaders = (config.train_dataloader, config.test_dataloader)
    for loader, split in zip(loaders, splits, strict=True):
        assert DATASETS.get(loader.dataset.type) is kind
        assert loader.dataset.split == split


@pytest.mark.parametrize('year', ['2018', '2019'])
def test_inaturalist_reads_class_folders(year, tmp_path, config_of):
    for part in ('train', 'val'):
        for label in ('17', '5'):
            (tmp_path / part / label).mkdir(parents=True)
            (tmp_path / part / label / 'a.jpg').touch()
    config = config_of(f'small-p16_in1k-pre_8xb96-1000e --data inat{year}')
    for part in ('train', 'val'):
        settings = config[f'{part}_dataloader'].dataset
        assert settings.data_root == f'data/inat{year}'
        dataset = DATASETS.build(dict(settings, data_root=str(tmp_path), pipeline=[]))
        assert [Path(dataset.get_data_info(i)['img_path']).parent for i in range(2)] == [
            tmp_path / part / '17',
            tmp_path / part / '5',
        ]
