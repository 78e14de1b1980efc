"""Every recipe of DRLoc with every dataset of the paper, against the paper and its code.

Classes and weights are those of the paper, the rest follows the released code. The results
are in configs/published.yml, see tests/test_recipes/test_published.py.
"""

import copy
import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import mmpretrain
import pytest
import torch
import yaml
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import HOOKS, MODELS, PARAM_SCHEDULERS, TRANSFORMS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.config_edits.dataset_by_name import apply_data, read_data, use_data
from vit_plugins.models.losses import drloc_loss
from vit_plugins.weights.index import index_models

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'drloc'
DOMAINS = ('clipart', 'infograph', 'painting', 'quickdraw', 'real', 'sketch')


@dataclass(frozen=True)
class Data:
    classes: int
    dataset: str
    splits: tuple[str, str] = ('train', 'test')


DATA = {
    'imagenet100': Data(100, 'ImageNet100', ('train', 'val')),
    'cifar10': Data(10, 'CIFAR10'),
    'cifar100': Data(100, 'CIFAR100'),
    'flowers102': Data(102, 'Flowers102', ('trainval', 'test')),
    'svhn': Data(10, 'SVHN'),
    **{f'domainnet-{domain}': Data(345, 'DomainNet') for domain in DOMAINS},
}


@dataclass(frozen=True)
class Net:
    title: str
    backbone: str
    width: int
    weight: float
    official_grid: int  # of the tokens that the released code compares; the paper's is 7
    official: tuple[str, ...]  # what its preset changes in the head, beside `preset`


NETS = {
    'cvt-13': Net('CvT-13', 'CvT', 384, 0.1, 7, ('pool', 'loss_grid_size')),
    'swin-tiny': Net('Swin-T', 'SwinTransformer', 768, 0.5, 7, ('source',)),
    't2t-vit-14': Net('T2T-ViT-14', 'T2TViTPerformer', 384, 0.1, 7, ('pool', 'loss_grid_size')),
    'deit-small': Net('DeiT-S', 'VisionTransformer', 384, 0.1, 14, ('loss_grid_size', 'source')),
    'vit-base': Net('ViT-B/16', 'VisionTransformer', 768, 0.1, 14, ('loss_grid_size', 'source')),
    'convit-small': Net('ConViT-S', 'ConViT', 432, 0.1, 7, ('pool', 'loss_grid_size')),
    'resnet50': Net('ResNet-50', 'ResNet', 2048, 0.5, 7, ()),
}
BEFORE_THE_NORM = {  # the module whose output the released code compares
    'swin-tiny': 'backbone.stages.3',
    'deit-small': 'backbone.layers.11',
    'vit-base': 'backbone.layers.11',
}
MAPS = ('swin-tiny', 'resnet50')  # their neck moves into the head; others return their tokens
VARIANTS = ('', '-drloc', '-drloc-official', '_in1k-pre', '-drloc_in1k-pre')


def path(net, variant):
    return FOLDER / f'{net}{variant}_8xb128-100e.py'


RECIPES = {(net, variant): path(net, variant) for net in NETS for variant in VARIANTS}


@pytest.fixture(scope='module')
def configs():
    """Read every recipe with every dataset; shared base files are read once."""
    read = functools.cache(Config._file2dict)

    def read_once(filename, *args, **kwargs):
        return read(str(Path(filename).resolve()))

    with mock.patch.object(Config, '_file2dict', staticmethod(read_once)):
        recipes = {key: Config(read_once(file)[0]) for key, file in RECIPES.items()}
        data = {name: read_data(name, recipes['swin-tiny', '']) for name in DATA}
    return {
        (*key, name): use_data(copy.deepcopy(recipe), data[name]).to_dict()
        for key, recipe in recipes.items()
        for name in DATA
    }


def differences(a, b, at=''):
    """Return the dotted names of the settings that differ."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return set() if a == b else {at}
    names = {}
    for key in a.keys() | b.keys():
        names[key] = differences(a.get(key, ...), b.get(key, ...), f'{at}.{key}'.lstrip('.'))
    return set().union(*names.values())


each_data = pytest.mark.parametrize('data', DATA)
each_net = pytest.mark.parametrize('net', NETS)


def test_the_grid_is_whole():
    assert set(FOLDER.glob('*_8xb128-100e.py')) == {*RECIPES.values()}


def test_files_read_once_are_as_mmengine_and_the_tools_read_them(configs):
    for net, variant in (('cvt-13', ''), ('vit-base', '-drloc_in1k-pre')):
        recipe = Config.fromfile(path(net, variant))
        for data in ('svhn', 'domainnet-real'):
            found = apply_data(copy.deepcopy(recipe), data).to_dict()
            assert found == configs[net, variant, data]


@each_net
def test_each_recipe_says_literally_what_it_is_about(configs, net):
    """Weight, preset and grid of the loss, learning rate and epochs are in the recipe itself."""
    for variant in VARIANTS:
        text = path(net, variant).read_text()
        header = re.match(r'(?:#.*\n)*', text)[0]
        assert f'# {NETS[net].title} ' in header
        assert ('localization loss' in header) == ('drloc' in variant)
        assert ('fine-tuned' in header) == ('-pre' in variant)
        assert 'lr=1e-3' in text
        assert 'max_epochs=100' in text
        head = configs[net, variant, 'cifar100']['model']['head']
        for key in ('preset', 'loss_weight', 'loss_grid_size') if 'drloc' in variant else ():
            assert f'{key}={head[key]!r},' in text


@each_data
def test_data_of_each_recipe(configs, data):
    expected = DATA[data]
    arrays = data in ('cifar10', 'cifar100', 'svhn')
    for net in NETS:
        for variant in VARIANTS:
            config = configs[net, variant, data]
            head = config['model']['head']
            assert head.get('head', head)['num_classes'] == expected.classes
            assert config['data_preprocessor']['num_classes'] == expected.classes
            assert config['data_preprocessor']['to_rgb'] != arrays
            assert config['test_dataloader'] == config['val_dataloader']
            for part, split in zip(('train', 'val'), expected.splits, strict=True):
                dataset = config[f'{part}_dataloader']['dataset']
                assert (dataset['type'], dataset['split']) == (expected.dataset, split)
                assert dataset.get('domain') == (data.partition('-')[2] or None)
                assert (dataset['pipeline'][0]['type'] == 'LoadImageFromFile') != arrays


@each_data
def test_augmentation_and_schedule_of_each_recipe(configs, data):
    for net in NETS:
        for variant in VARIANTS:
            config = configs[net, variant, data]
            loader = config['train_dataloader']
            assert loader['batch_size'] * 8 == config['auto_scale_lr']['base_batch_size'] == 1024
            assert loader['sampler'] == dict(type='DefaultSampler', shuffle=True)
            assert loader['drop_last'] is True
            check_augmentation(config)
            head = config['model']['head']
            loss = head.get('head', head)['loss']
            assert (loss['type'], loss['label_smooth_val']) == ('LabelSmoothLoss', 0.1)
            assert loss['mode'] == 'original'  # as timm smooths mixed labels
            optim = config['optim_wrapper']
            assert optim['optimizer'] == dict(
                type='AdamW', lr=1e-3, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)
            )
            assert optim['clip_grad'] == dict(max_norm=5.0)
            (schedule,) = config['param_scheduler']
            assert (schedule['warmup'], schedule['total']) == (20, 300)
            assert (schedule['warmup_lr'], schedule['eta_min']) == (1e-6, 1e-5)
            assert schedule['convert_to_iter_based'] is True
            assert config['train_cfg']['max_epochs'] == 100


def check_augmentation(config):
    train = {step['type']: step for step in config['train_dataloader']['dataset']['pipeline']}
    test = {step['type']: step for step in config['test_dataloader']['dataset']['pipeline']}
    crop, policy = train['RandomResizedCrop'], train['RandAugment']
    assert (crop['scale'], crop['interpolation'], crop['backend']) == (224, 'bicubic', 'pillow')
    assert 'crop_ratio_range' not in crop  # 0.08 to 1, as test_transforms_build_as_told sees
    assert train['RandomFlip']['prob'] == 0.5
    assert (policy['policies'], policy['num_policies']) == ('timm_increasing', 2)
    assert (policy['magnitude_level'], policy['total_level'], policy['magnitude_std']) == (
        9,
        10,
        0.5,
    )
    assert policy['hparams']['interpolation'] == 'bicubic'
    # 'pixel' of timm: on a fiftieth to a third of the image, noise of std 1 once normalised
    erasing, norm = train['RandomErasing'], config['data_preprocessor']
    assert (erasing['erase_prob'], erasing['mode']) == (0.25, 'rand')
    assert (erasing['min_area_ratio'], erasing['max_area_ratio']) == (0.02, 1 / 3)
    assert norm['mean'] == [123.675, 116.28, 103.53]
    assert norm['std'] == [58.395, 57.12, 57.375]
    order = 1 if norm['to_rgb'] is False else -1  # arrays are RGB, files are read as BGR
    assert (erasing['fill_color'][::order], erasing['fill_std'][::order]) == (
        norm['mean'],
        norm['std'],
    )
    assert policy['hparams']['pad_val'][::order] == [round(x) for x in norm['mean']]
    assert (test['ResizeEdge']['scale'], test['CenterCrop']['crop_size']) == (256, 224)
    assert test['ResizeEdge']['interpolation'] == 'bicubic'
    augments = [(a['type'], a['alpha']) for a in config['model']['train_cfg']['augments']]
    assert augments == [('Mixup', 0.8), ('CutMix', 1.0)]


@pytest.mark.parametrize('data', ['cifar100', 'imagenet100'])
def test_transforms_build_as_told(configs, data):
    for part in ('train', 'test'):
        pipeline = configs['swin-tiny', '', data][f'{part}_dataloader']['dataset']['pipeline']
        steps = {step['type']: TRANSFORMS.build(step) for step in pipeline}
        if part == 'train':
            assert steps['RandomResizedCrop'].crop_ratio_range == (0.08, 1.0)


def test_learning_rates_are_those_of_the_published_log(configs):
    """The log has one GPU of eight, so an eighth: 1.24e-4 at epoch 20, 0.94e-4 at epoch 100."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-3)
    (item,) = configs['swin-tiny', '', 'cifar10']['param_scheduler']
    steps = 3  # in an epoch
    scheduler = PARAM_SCHEDULERS.build(
        item | dict(epoch_length=steps), default_args=dict(optimizer=optimizer)
    )
    rates = []
    for _ in range(100 * steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    rates.append(optimizer.param_groups[0]['lr'])
    # The released code advances the schedule after iteration i with the number i.
    assert rates[0] == rates[1] == pytest.approx(1e-6)
    assert rates[2] == pytest.approx(1e-6 + (1e-3 - 1e-6) / (20 * steps))
    assert rates[20 * steps + 1] / 8 == pytest.approx(1.24e-4, abs=5e-7)  # printed after a step
    assert rates[100 * steps] / 8 == pytest.approx(0.94e-4, abs=1e-6)  # at the epoch's end


def test_an_epoch_of_flowers_is_one_step(configs):
    """255 images for each of eight GPUs make one batch of 128; the other 127 are left out."""
    loader = configs['swin-tiny', '', 'flowers102']['train_dataloader']
    share = torch.utils.data.TensorDataset(torch.arange(2_040 // 8))
    settings = {name: loader[name] for name in ('batch_size', 'drop_last')}
    assert len(torch.utils.data.DataLoader(share, **settings)) == 1


def test_vit_from_scratch_is_the_released_one(configs):
    """86,540,008 parameters with 1000 classes, counted in the released code; norms of PyTorch."""
    model = copy.deepcopy(configs['vit-base', '', 'imagenet100']['model'])
    model['head']['num_classes'] = 1000
    with torch.device('meta'):
        model = build(Config(dict(model=model)))
    assert sum(param.numel() for param in model.parameters()) == 86_540_008
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5}
    drops = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    # Released: in each layer after the attention's projection and twice in the MLP.
    assert sum(p == 0.1 for p in drops) == 3 * 12
    assert model.backbone.drop_after_pos.p == 0


@each_net
def test_drop_path_and_start_of_each_net(configs, net):
    """Of the paper's nets only Swin has drop path, and CvT alone keeps PyTorch's start."""
    model = configs[net, '', 'imagenet100']['model']
    rates = {'swin-tiny': 0.2, 'convit-small': 0.1}
    assert model['backbone'].get('drop_path_rate', 0) == rates.get(net, 0)
    if net == 'resnet50':  # that of the host
        return
    truncated = None if net == 'cvt-13' else dict(type='TruncNormal', layer='Linear', std=0.02)
    assert model['head']['init_cfg'] == truncated
    assert model.get('init_cfg', [None])[0] == truncated


@each_net
def test_the_loss_is_all_that_differs_within_a_pair(configs, net):
    for start, data in itertools.product(('', '_in1k-pre'), DATA):
        without, with_ = configs[net, start, data], configs[net, f'-drloc{start}', data]
        tokens = 'model.neck' if net in MAPS else 'model.backbone.out_type'
        found = {'.'.join(name.split('.')[:3]) for name in differences(without, with_)}
        assert {n for n in found if not n.startswith('model.head')} == {tokens}
        head = with_['model']['head']
        assert head['head'] == without['model']['head']
        assert head.get('neck') == without['model']['neck']
        assert head['type'] == 'DRLocHead'
        assert (head['in_channels'], head['loss_weight']) == (NETS[net].width, NETS[net].weight)
        assert head['loss_grid_size'] == (None if net in MAPS else (7, 7))
        assert head['preset'] == 'paper'  # 64 pairs


@each_net
def test_the_start_is_all_that_differs_in_fine_tuning(configs, net):
    for loss, data in itertools.product(('', '-drloc'), DATA):
        found = differences(configs[net, loss, data], configs[net, f'{loss}_in1k-pre', data])
        if net == 'cvt-13':  # weights exist of the official form only, which is another net
            assert {name.split('.')[0] for name in found} == {'model', 'optim_wrapper'}
            backbone = configs[net, f'{loss}_in1k-pre', data]['model']['backbone']
            assert 'style' not in backbone
            assert backbone['init_cfg']['type'] == 'Pretrained'
        elif net == 'vit-base':  # its weights are of DeiT-B
            found = {name.removeprefix('model.backbone.') for name in found}
            assert found == {'init_cfg', 'qkv_bias', 'norm_cfg.eps'}
        else:
            assert found == {'model.backbone.init_cfg'}


@each_net
def test_the_preset_is_all_that_differs_in_official(configs, net):
    official = configs[net, '-drloc-official', 'cifar100']
    changed = {f'model.head.{name}' for name in ('preset', *NETS[net].official)}
    for data in DATA:
        pair = configs[net, '-drloc', data], configs[net, '-drloc-official', data]
        assert differences(*pair) == {'custom_hooks', *changed}
        assert pair[1]['custom_hooks'] == official['custom_hooks']
    head = official['model']['head']
    assert head['preset'] == 'official'
    assert head.get('pool') == ((3, 2, 1) if 'pool' in NETS[net].official else None)
    assert head.get('source') == BEFORE_THE_NORM.get(net)
    assert official['custom_hooks'][0] == dict(
        type='LossWeightHook', warmup_epochs=20, total_epochs=300
    )
    others = [hook['type'] for hook in official['custom_hooks'][1:]]
    assert others == (['DRLocSourceHook'] if net in BEFORE_THE_NORM else [])
    for hook in official['custom_hooks']:
        HOOKS.build(hook)


@each_data
def test_only_the_data_differ_from_cifar_100(configs, data):
    """Therefore the tests of the CIFAR-100 recipes hold for all datasets."""
    allowed = r'(train|val|test)_dataloader\.dataset|data_preprocessor\.(num_classes|to_rgb)'
    names = rf'{allowed}|model\.head(\.head)?\.num_classes'
    for net in NETS:
        for variant in VARIANTS:
            one, other = configs[net, variant, 'cifar100'], configs[net, variant, data]
            found = [d for d in differences(one, other) if not re.match(names, d)]
            assert found == [], (net, variant, data)


def test_the_index_lists_every_recipe():
    entries = [entry for entry in index_models().values() if 'configs/drloc/' in entry.config]
    listed = {ROOT / entry.config for entry in entries}
    assert listed == set(FOLDER.glob('*.py'))


def test_weights_are_where_their_publishers_say(configs):
    host = Path(mmpretrain.__file__).parent / '.mim' / 'configs'
    known = {
        model.get('Weights')
        for name in ('swin_transformer', 'deit', 'resnet')
        for model in yaml.safe_load((host / name / 'metafile.yml').read_text())['Models']
    }
    known.add(index_models()['convit-small_3rdparty_in1k'].weights)
    for net in NETS:
        init = configs[net, '_in1k-pre', 'svhn']['model']['backbone']['init_cfg']
        by_hand = net in ('cvt-13', 't2t-vit-14')  # no address, or a file to convert
        assert (init['checkpoint'] in known) != by_hand
        assert init['checkpoint'].startswith('pretrained/') == by_hand


# One step of each distinct net and loss, at the recipe's 224 px with one or few narrow layers.

VIT = dict(embed_dims=16, num_layers=1, num_heads=1, feedforward_channels=16)
SMALL = {
    'cvt-13': (24, dict(arch=dict(embed_dims=(8, 8, 24), num_heads=(1, 1, 1), depths=(1, 1, 1)))),
    'swin-tiny': (32, dict(arch=dict(embed_dims=4, depths=[1] * 4, num_heads=[1] * 4))),
    't2t-vit-14': (
        16,
        dict(
            embed_dims=16,
            num_layers=1,
            token_dims=4,
            layer_cfgs=dict(num_heads=1, feedforward_channels=16),
        ),
    ),
    'deit-small': (16, dict(arch=VIT)),
    'vit-base': (16, dict(arch=VIT)),
    'convit-small': (16, dict(arch={**VIT, 'num_layers': 2, 'num_heads': 4}, num_local_layers=1)),
    'resnet50': (32, dict(depth=18, stem_channels=4, base_channels=4)),
}


def shrink(configs, net, variant, checkpoint=None):
    """Return the recipe with a small network and all other settings unchanged."""
    config = Config(copy.deepcopy(configs[net, variant, 'svhn']))
    width, backbone = SMALL[net]
    config.model.backbone.update(backbone)
    for head in (config.model.head, config.model.head.get('head', {})):
        head['in_channels'] = width
    if config.model.head.get('source') == 'backbone.layers.11':
        config.model.head.source = 'backbone.layers.0'
    if checkpoint:
        config.model.backbone.init_cfg.checkpoint = str(checkpoint)
    return config


def build(config):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(config.model)


STEPS = [(net, variant) for net in NETS for variant in VARIANTS[:3]]
STEPS += [('cvt-13', '_in1k-pre'), ('cvt-13', '-drloc_in1k-pre')]


@pytest.mark.parametrize(('net', 'variant'), STEPS)
def test_one_step(configs, net, variant, monkeypatch):
    drawn = []
    draw = drloc_loss.sample_pairs
    monkeypatch.setattr(
        drloc_loss, 'sample_pairs', lambda *args: drawn.append(args[:3]) or draw(*args)
    )
    config = shrink(configs, net, variant)
    config.model.backbone.pop('init_cfg', None)
    model = build(config)
    model.init_weights()
    if 'source' in config.model.head:
        model.head.attach(model)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    samples = [DataSample().set_gt_label(i).set_gt_score(torch.eye(10)[i]) for i in (1, 5)]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(224, 224)))
    losses = model(torch.randn(2, 3, 224, 224), samples, mode='loss')
    grid = NETS[net].official_grid if 'official' in variant else 7
    assert drawn == ([(64, grid, grid)] if 'drloc' in variant else [])
    assert ('loss_drloc' in losses) == ('drloc' in variant)
    wrapper.backward(model.parse_losses(losses)[0])
    trained = [item for item in model.named_parameters() if item[1].requires_grad]
    grads = {name: param.grad for name, param in trained}
    assert all(grad is not None for grad in grads.values())  # DDP would wait for it
    assert all(grad.any() for name, grad in grads.items() if 'drloc' in name)
    before = model.backbone.state_dict()
    before = {name: value.clone() for name, value in before.items() if value.is_floating_point()}
    wrapper.step()
    after = model.backbone.state_dict()
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    decay = {
        id(param): group['weight_decay']
        for group in wrapper.optimizer.param_groups
        for param in group['params']
    }
    released_cvt = net == 'cvt-13' and '-pre' not in variant
    for name, param in trained:
        over_channels = re.search(r'\.norm[12]?\.(weight|bias)$', name)
        decayed = param.ndim > 1 or (released_cvt and over_channels)
        decayed = decayed and 'relative_position_bias_table' not in name
        assert decay[id(param)] == (0.05 if decayed else 0), name


@each_net
def test_fine_tuning_takes_the_backbone_only(configs, net, tmp_path):
    source = build(shrink(configs, net, '_in1k-pre'))
    with torch.no_grad():
        for param in source.parameters():
            param.normal_()
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'trained.pth')
    model = build(shrink(configs, net, '-drloc_in1k-pre', tmp_path / 'trained.pth'))
    model.init_weights()
    for key, value in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[key], value), key
    trained = source.head.state_dict()
    for key, value in model.head.cls_head.state_dict().items():
        assert not torch.equal(value, trained[key]), key


@pytest.mark.parametrize('net', ['cvt-13', 't2t-vit-14'])
def test_weights_that_are_missing_stop_the_training(configs, net):
    model = build(shrink(configs, net, '_in1k-pre'))
    with pytest.raises(FileNotFoundError, match=r'pretrained/.*\.pth can not be found'):
        model.init_weights()
    assert 'configs/weights_by_hand.yml' in path(net, '_in1k-pre').read_text()
