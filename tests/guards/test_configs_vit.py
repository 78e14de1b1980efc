"""Every recipe of ViT against the numbers of the paper, written down here."""

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

from vit_plugins.config_edits.dataset_by_name import apply_data

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'vit'


@dataclass(frozen=True)
class Recipe:
    """The settings of the paper, and of Google's code where the paper states nothing."""

    steps: int
    lr: float
    decay: float
    batch: int
    size: int
    classes: int
    warmup: int
    dropout: float
    end: float = 0.0
    linear: bool = False
    clip: float | None = 1.0


def pre_trained(data):
    if data == 'in1k':
        return Recipe(93_835, 3e-3, 0.3, 4096, 224, 1000, 10_000, 0.1)
    return Recipe(311_948, 1e-3, 0.03, 4096, 224, 21841, 10_000, 0.1, 1e-5, True, None)


def fine_tuned(model, data):
    classes = {'in1k': 1000, 'cifar10': 10, 'cifar100': 100, 'flowers102': 102}[data]
    steps = {'in1k': 20_000, 'cifar10': 10_000, 'cifar100': 10_000, 'flowers102': 500}[data]
    dropout = 0.1 if model in ('vit-large-p16', 'r50-vit-base-p16') else 0.0
    return Recipe(steps, 0.03, 0.0, 512, 384, classes, 500 if steps > 500 else 0, dropout)


PLAIN = [f'vit-{size}-p{patch}' for size in ('base', 'large') for patch in (16, 32)]
TABLE = {
    **{f'{m}_64xb64-300e_in1k': pre_trained('in1k') for m in PLAIN},
    **{f'{m}_64xb64-90e_in21k': pre_trained('in21k') for m in PLAIN},
    **{
        f'{m}_{data}-pre_8xb64-20k_in1k-384px': fine_tuned(m, 'in1k')
        for m in PLAIN
        for data in ('in1k', 'in21k')
    },
    **{
        f'vit-{m}-p16_in21k-pre_8xb64-{rest}': fine_tuned(f'vit-{m}-p16', rest.split()[-1])
        for m in ('base', 'large')
        for rest in ('10k-384px --data cifar10', '10k-384px --data cifar100')
    },
    **{
        f'vit-{m}-p16_in21k-pre_8xb64-500_flowers102-384px': fine_tuned(
            f'vit-{m}-p16', 'flowers102'
        )
        for m in ('base', 'large')
    },
    'r50-vit-base-p16_in21k-pre_8xb64-20k_in1k-384px': fine_tuned('r50-vit-base-p16', 'in1k'),
}
recipes = pytest.mark.parametrize('name', TABLE)


def read(name):
    file, _, data = name.partition(' --data ')
    config = read_recipe(FOLDER / f'{file}.py')
    return apply_data(config, data) if data else config


def build(config):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(config.model)


def shrink(config):
    """Return the recipe with a model of one layer and all other settings unchanged."""
    arch = dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=16)
    config.model.backbone.update(arch=arch)
    if config.model.backbone.type == 'HybridViT':
        config.model.backbone.update(stem=(1, 1, 1), stem_channels=32)
    config.model.head.in_channels = 8
    if config.model.head.get('hidden_dim'):
        config.model.head.hidden_dim = 8
    return config


def test_the_table_knows_every_recipe():
    assert {file.stem for file in FOLDER.glob('*.py')} == {name.split()[0] for name in TABLE}


@recipes
def test_model(name):
    recipe, config = TABLE[name], read(name)
    model = shapes_of(config.model)
    backbone, head = model.backbone, model.head.layers
    large, patch = 'large' in name, 32 if '-p32_' in name else 16
    width = 1024 if large else 768
    assert (backbone.embed_dims, len(backbone.layers)) == (width, 24 if large else 12)
    assert backbone.pos_embed.shape == (1, 1 + (recipe.size // patch) ** 2, width)
    assert backbone.drop_after_pos.p == recipe.dropout
    layer = backbone.layers[0]
    assert layer.attn.proj_drop.p == layer.ffn.layers[0][2].p == recipe.dropout
    assert layer.attn.attn_drop == 0
    assert layer.ffn.layers[0][1].approximate == 'tanh'
    assert head.head.weight.shape == (recipe.classes, width)
    assert hasattr(head, 'pre_logits') == ('-pre_' not in name)
    assert config.data_preprocessor.num_classes == recipe.classes


@recipes
def test_optimizer_and_batch(name):
    recipe, config = TABLE[name], read(name)
    wrapper = build_optim_wrapper(build(shrink(config)), config.optim_wrapper)
    group = wrapper.optimizer.param_groups[0]
    assert len(wrapper.optimizer.param_groups) == 1
    assert (group['lr'], group['weight_decay']) == (recipe.lr, recipe.decay)
    if '-pre_' in name:
        assert type(wrapper.optimizer).__name__ == 'SGD'
        assert (group['momentum'], group['nesterov']) == (0.9, False)
    else:
        assert type(wrapper.optimizer).__name__ == 'AdamW'
        assert tuple(group['betas']) == (0.9, 0.999)
    assert config.optim_wrapper.get('clip_grad', {}).get('max_norm') == recipe.clip
    devices = int(name.split('xb64')[0].rpartition('_')[2])
    assert devices * config.train_dataloader.batch_size == recipe.batch
    assert config.auto_scale_lr.base_batch_size == recipe.batch
    assert config.train_cfg.max_iters == recipe.steps


@recipes
def test_schedule_is_that_of_googles_code(name):
    """The fraction of the warm-up, times a decay that starts at its end."""
    recipe, config = TABLE[name], read(name)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedules = [
        PARAM_SCHEDULERS.build({**item, 'optimizer': optimizer}) for item in config.param_scheduler
    ]
    last = len(schedules) - 1
    if recipe.warmup:
        warmup = schedules[0]
        assert (warmup.begin, warmup.end, warmup.end_factor) == (0, recipe.warmup, 1.0)
        assert warmup.start_factor == pytest.approx(1 / recipe.warmup)  # that of step 1
    decay = schedules[last]
    assert last == bool(recipe.warmup)
    assert decay.begin == recipe.warmup
    assert all(not item.by_epoch for item in schedules)
    assert decay.eta_min == recipe.end
    assert type(decay).__name__ == ('PolyLR' if recipe.linear else 'CosineAnnealingLR')
    length = decay.total_iters if recipe.linear else decay.T_max
    assert length == recipe.steps - recipe.warmup - recipe.linear  # n values span n - 1 steps
    if recipe.linear:
        assert decay.power == 1


@recipes
def test_data(name):
    recipe, config = TABLE[name], read(name)
    train = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    test = {step.type: step for step in config.test_dataloader.dataset.pipeline}
    crop = TRANSFORMS.build(train['RandomResizedCrop'])
    assert (crop.scale, crop.crop_ratio_range) == ((recipe.size, recipe.size), (0.05, 1.0))
    assert crop.interpolation == test['Resize'].interpolation == 'bilinear'
    assert list(test['Resize'].scale) == [recipe.size, recipe.size]
    assert ('LoadImageFromFile' in train) == ('LoadImageFromFile' in test) == ('cifar' not in name)
    assert config.data_preprocessor.to_rgb == ('cifar' not in name)
    assert config.data_preprocessor.mean == config.data_preprocessor.std == [127.5] * 3


def test_pre_training_starts_as_googles_code():
    """Xavier for attention and FFN, whose biases are tiny; Lecun for the rest; a head of zeros.

    The host's queries, keys and values are one matrix, and so have a smaller range.
    """
    config = shrink(read('vit-base-p16_64xb64-300e_in1k'))
    arch = dict(embed_dims=64, num_layers=1, num_heads=2, feedforward_channels=64)
    config.model.backbone.arch = arch
    config.model.head.update(in_channels=64, hidden_dim=64)
    model = build(config)
    model.init_weights()
    backbone, head = model.backbone, model.head.layers
    layer = backbone.layers[0]
    fc1, fc2 = layer.ffn.layers[0][0], layer.ffn.layers[1]
    for linear in (layer.attn.qkv, layer.attn.proj, fc1, fc2):
        bound = (6 / sum(linear.weight.shape)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound
    assert not layer.attn.qkv.bias.any()
    assert not layer.attn.proj.bias.any()
    assert all(1e-7 < fc.bias.std() < 2e-6 for fc in (fc1, fc2))
    for weight in (backbone.patch_embed.projection.weight, head.pre_logits.weight):
        assert weight.std().item() == pytest.approx(weight[0].numel() ** -0.5, rel=0.05)
    assert not backbone.cls_token.any()
    assert backbone.pos_embed.std().item() == pytest.approx(0.02, rel=0.05)
    assert not head.head.weight.any()
    assert not head.head.bias.any()


@pytest.mark.parametrize(
    'name',
    [
        'vit-base-p16_in1k-pre_8xb64-20k_in1k-384px',
        'r50-vit-base-p16_in21k-pre_8xb64-20k_in1k-384px',
    ],
)
def test_fine_tuning_starts_from_the_backbone_and_a_head_of_zeros(name, tmp_path):
    """Also if the head of the pre-training has the same shape."""
    config = shrink(read(name))
    source = shrink(read(name))
    source.model.backbone.update(img_size=224)
    source.model.backbone.pop('init_cfg')
    source = build(source)
    with torch.no_grad():
        for param in source.parameters():
            param.normal_()
    file = str(tmp_path / 'pre-trained.pth')
    torch.save({'state_dict': source.state_dict()}, file)
    config.model.backbone.init_cfg.checkpoint = file
    model = build(config)
    model.init_weights()
    weights = source.backbone.state_dict()
    for key, value in model.backbone.state_dict().items():
        if key != 'pos_embed':
            assert torch.equal(value, weights[key]), key
    assert torch.equal(model.backbone.pos_embed[:, 0], weights['pos_embed'][:, 0])
    assert model.backbone.pos_embed.shape == (1, 577, 8)
    assert not model.head.layers.head.weight.any()


@pytest.mark.parametrize(
    'name',
    [
        'vit-base-p32_64xb64-300e_in1k',
        'vit-base-p16_64xb64-90e_in21k',
        'vit-large-p16_in21k-pre_8xb64-10k-384px --data cifar10',
        'r50-vit-base-p16_in21k-pre_8xb64-20k_in1k-384px',
    ],
)
def test_one_step_at_reduced_size(name):
    config = shrink(read(name))
    config.model.backbone.update(img_size=64)
    config.model.head.num_classes = 7
    config.model.backbone.pop('init_cfg', None)
    model = build(config)
    model.init_weights()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = [param.detach().clone() for param in model.parameters()]
    samples = [DataSample().set_gt_label(label) for label in (1, 5)]
    loss = model(torch.randn(2, 3, 64, 64), samples, mode='loss')['loss']
    assert loss.item() == pytest.approx(torch.log(torch.tensor(7.0)).item())  # a head of zeros
    wrapper.update_params(loss)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert any(moved)
