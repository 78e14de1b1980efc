"""The small-data recipes against the numbers that they must have, written down here."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.hooks import EMAHook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import HOOKS, MODELS, PARAM_SCHEDULERS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.engine.hooks.fractional_switch_recipe_hook import switch_epoch
from vit_plugins.studies.grid import make_cells, read_study
from vit_plugins.studies.model_cost import count_cost, setting_costs

FOLDER = Path(__file__).parents[2] / 'configs' / 'small_data'
# Parameters and 10^9 multiplications of each; DRLoc's are those of training.
TABLE = {
    'hybrid_convit_cifar10': (7_290_890, 0.842),
    'hybrid_convit_drloc_cifar10': (7_882_764, 0.842),
    'hybrid_vit_cifar10': (7_290_810, 0.846),
    'resnet18_cifar10': (11_173_962, 0.555),
    'cct_cifar10': (3_233_803, 1.014),
}
recipes = pytest.mark.parametrize('name', TABLE)
hybrids = pytest.mark.parametrize('name', [name for name in TABLE if name.startswith('hybrid')])


def read(name):
    return Config.fromfile(FOLDER / f'{name}.py')


def build(model):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(copy.deepcopy(model))


def test_the_table_knows_every_recipe():
    found = {file.stem for file in FOLDER.glob('*.py')}
    assert found - {'small_data_best'} == set(TABLE)  # one that stays for comparison


@recipes
def test_cost(name):
    cost = count_cost(read(name).model, (3, 32, 32))
    assert (cost.parameters, round(cost.gmacs, 3)) == TABLE[name]


@recipes
def test_training_is_the_same_for_all(name):
    config, first = read(name), read('hybrid_convit_cifar10')
    differ = {key for key in config if config[key] != first.get(key)}
    assert differ <= {'model'}
    assert config.model.train_cfg == first.model.train_cfg
    assert [a.type for a in config.model.train_cfg.augments] == ['Mixup', 'CutMix']
    head = config.model.head.get('head', config.model.head)
    assert head.loss == dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')


def test_optimizer():
    config = read('hybrid_convit_cifar10')
    model = build(config.model)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    assert type(wrapper.optimizer).__name__ == 'AdamW'
    groups = wrapper.optimizer.param_groups
    assert {group['lr'] for group in groups} == {2e-3}
    decays = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    for key, param in model.named_parameters():
        if param.requires_grad:
            assert decays[id(param)] == (0 if param.ndim == 1 else 0.05), key
    assert config.train_dataloader.batch_size == config.auto_scale_lr.base_batch_size == 512
    assert config.optim_wrapper.clip_grad.max_norm == 1.0


@pytest.mark.parametrize('epochs', [100, 300])
def test_rate_falls_to_one_percent_at_the_end_and_mixing_ends_before(epochs):
    config = read('hybrid_convit_cifar10')
    assert config.train_cfg.max_epochs == 100
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2e-3)
    (schedule,) = config.param_scheduler
    schedule = {**schedule, 'optimizer': optimizer, 'end': epochs}
    schedule.pop('convert_to_iter_based')
    scheduler, rates = PARAM_SCHEDULERS.build(schedule), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert rates[0] < 1e-5
    assert max(rates) == pytest.approx(2e-3, rel=0.02)
    assert optimizer.param_groups[0]['lr'] == pytest.approx(
        2e-5, rel=0.03
    )  # the last step of many
    switch = config.custom_hooks[1]
    assert switch.type == 'FractionalSwitchRecipeHook'
    (item,) = switch.schedule
    assert item.batch_augments is None
    assert switch_epoch(item.action_fraction, epochs) == 0.9 * epochs + 1


def test_weights_and_statistics_are_averaged_over_a_tenth_of_the_training():
    config = read('hybrid_convit_cifar10')
    hook = HOOKS.build(copy.deepcopy(config.custom_hooks[0]))
    assert isinstance(hook, EMAHook)
    assert hook.evaluate_on_ema
    assert not hook.evaluate_on_origin
    assert hook.ema_cfg['update_buffers']
    steps = config.train_cfg.max_epochs * 50_000 / config.train_dataloader.batch_size
    assert 1 / hook.ema_cfg['momentum'] == pytest.approx(steps / 10, rel=0.05)


@pytest.mark.parametrize('steps', [50, 400])
def test_average_of_a_short_training_keeps_nothing_of_the_first_weights(steps):
    hook = HOOKS.build(copy.deepcopy(read('resnet18_cifar10').custom_hooks[0]))
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    settings = {key: value for key, value in hook.ema_cfg.items() if key != 'priority'}
    average = MODELS.build(dict(settings, model=model))
    average.update_parameters(model)  # of the first step
    nn.init.zeros_(model.weight)  # the weights of all others
    for _ in range(steps):
        average.update_parameters(model)
    assert 0 <= average.module.weight.item() < 1e-6


@hybrids
def test_hybrid(name):
    backbone = build(read(name).model).backbone
    local = 0 if name == 'hybrid_vit_cifar10' else 4
    assert [layer.is_local for layer in backbone.layers] == [i < local for i in range(6)]
    assert backbone.patch_resolution == (8, 8)
    assert backbone.embed_dims == 320
    assert all(layer.attn.num_heads == 4 for layer in backbone.layers)
    stem = backbone.patch_embed.stem
    assert stem.root.conv.out_channels == 48
    assert [stage[0].conv.out_channels for stage in stem.stages] == [96, 192]
    assert [len(stage) for stage in stem.stages] == [2, 2]  # the widening and a block
    rates = [layer.ffn.dropout_layer.drop_prob for layer in backbone.layers[1:]]
    assert rates == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])


def test_plain_attention_is_the_only_difference():
    convit, vit = (read(f'hybrid_{kind}_cifar10').model for kind in ('convit', 'vit'))
    assert convit.backbone.pop('num_local_layers') == 4
    assert vit.backbone.pop('num_local_layers') == 0
    assert convit == vit


def test_drloc_is_a_switch():
    """The weights with and without DRLoc can be exchanged and predict the same."""
    plain, drloc = (
        build(read(f'hybrid_convit{on}_cifar10').model).eval() for on in ('', '_drloc')
    )
    drloc.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(images), drloc(images))


@recipes
def test_one_step_at_reduced_size(name):
    config = read(name)
    if name.startswith('hybrid'):
        arch = dict(embed_dims=8, num_layers=5, num_heads=4, feedforward_channels=16)
        config.model.backbone.arch = arch
        config.model.backbone.patch_cfg.stem.channels = (4, 4, 4)
        config.model.head.get('head', config.model.head).in_channels = 16
        if name.endswith('drloc_cifar10'):
            config.model.head.in_channels = 8
    config.model.data_preprocessor = config.data_preprocessor
    if name.startswith('cct'):
        config.model.backbone.arch.update(num_layers=1)
    model = build(config.model)
    model.init_weights()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = [param.detach().clone() for param in model.parameters()]
    samples = [DataSample(metainfo=dict(img_shape=(32, 32))).set_gt_label(i) for i in (1, 5)]
    data = dict(inputs=torch.randint(256, (2, 3, 32, 32)).byte(), data_samples=samples)
    losses = model.train_step(data, wrapper)
    assert losses['loss'].isfinite()
    assert ('loss_drloc' in losses) == ('drloc' in name)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2


def test_images_are_cropped_turned_and_changed_by_one_operation():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        preprocessor = MODELS.build(read('hybrid_convit_cifar10').data_preprocessor)
    crop, trivial = preprocessor.batch_transforms.transforms
    assert (crop.crop_size, crop.padding, crop.flip_prob) == (32, 4, 0.5)
    assert len(trivial.policies) == 14
    assert trivial.channel_order == 'rgb'  # the host's CIFAR-10, as to_rgb=False says
    assert not preprocessor.to_rgb


def test_the_study_compares_all_pairs_of_models_of_equal_size():
    study = read_study(FOLDER / 'hybrid_tenth_cifar10.yaml')
    models = list(study.axes['model'])
    assert models == ['vit', 'cvt', 'hybrid-vit', 'hybrid-convit']
    pairs = [
        {part['baseline'], level}
        for part in study.compare
        for level in part['levels'] or models
        if level != part['baseline']
    ]
    assert len(pairs) == 6
    assert {frozenset(pair) for pair in pairs} == {
        frozenset((a, b)) for i, a in enumerate(models) for b in models[:i]
    }
    cells = make_cells(study)
    assert len(cells) == 12
    sizes = [cost.parameters for cost in setting_costs(cells, 'test').values()]
    assert max(sizes) < 1.06 * min(sizes)


def test_the_study_searches_the_same_rates_for_all_by_validation():
    search = read_study(FOLDER / 'hybrid_tenth_lr_search_cifar10.yaml')
    study = read_study(FOLDER / 'hybrid_tenth_cifar10.yaml')
    assert search.axes['model'] == study.axes['model']
    assert (search.measure, search.compare) == ('val', [])
    tried = {
        (cell.levels['model'], cell.stages[0].optim_wrapper.optimizer.lr)
        for cell in make_cells(search)
    }
    doubled = {(m, 8e-3) for m in study.axes['model'] if m != 'vit'}  # best at the highest rate
    assert tried == {(m, lr) for m in study.axes['model'] for lr in (1e-3, 2e-3, 4e-3)} | doubled
