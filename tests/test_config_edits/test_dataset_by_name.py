"""Replacing the dataset of a recipe, by name and by file."""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.command_line.data_arguments import AUGMENTATIONS, dataset_name
from vit_plugins.config_edits.dataset_by_name import apply_data, data_names, read_data, use_data

ROOT = Path(__file__).parents[2]
BASES = sorted((ROOT / 'configs/_base_/datasets').glob('*.py'))
SWIN = 'drloc/swin-tiny-drloc_8xb128-100e'


@cache
def _read(name):
    return Config.fromfile(ROOT / 'configs' / f'{name}.py')


def recipe(name=SWIN):
    return deepcopy(_read(name))


def test_names_have_neither_size_nor_augmentation():
    names = data_names()
    assert {'svhn', 'cifar100', 'domainnet-sketch', 'in-shop', 'imagenet', 'digits'} <= set(names)
    for name in names:
        assert name.split('-')[-1] not in AUGMENTATIONS
        assert not re.search(r'-\d+$', name)


def test_everything_of_the_data_is_put_in_and_nothing_of_the_training_changes():
    before, after = recipe(), apply_data(recipe(), 'svhn')
    assert after.train_dataloader.dataset.type == after.test_dataloader.dataset.type == 'SVHN'
    assert after.data_preprocessor.num_classes == after.model.head.head.num_classes == 10
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'auto_scale_lr', 'randomness'):
        assert after[key] == before[key]
    assert after.model.backbone == before.model.backbone
    assert 'train_pipeline' not in after  # a name for transforms that are gone


def test_a_name_is_read_at_the_size_and_with_the_augmentation_of_the_recipe():
    for name, file in {
        'deit3/deit3-small-p16_in1k-pre_8xb96-1000e': 'cifar10_deit3_ft_224',
        'vit/vit-base-p16_in21k-pre_8xb64-10k-384px': 'cifar10_vit_384',
        'convit/convit-small_8xb128_in1k': 'cifar10_224',
        'convit_drloc_cifar': 'cifar10_32_batch',
        'small_data/hybrid_convit_cifar10': 'cifar10_trivial_32',
    }.items():
        assert Path(read_data('cifar10', recipe(name)).filename).stem == file


@pytest.mark.parametrize(
    'name',
    [
        SWIN,
        'convit/convit-small_8xb128_in1k',
        'convit/convit-tiny-plus_8xb64-1000e_cifar100',
        'deit3/deit3-huge-p14_32xb64-800e_in1k-154px',
        'deit3/deit3-huge-p14_in21k-pre_32xb64-50e_in1k',
        'vit/vit-large-p16_in21k-pre_8xb64-500_flowers102-384px',
        'retrieval/irt-r-deit-small_1xb64-35k_sop',
        'retrieval/irt-r-deit-small_1xb35-100e_sfm120k',
        'small_data/cct_cifar10',
    ],
)
def test_its_own_data_change_no_recipe(name):
    before = recipe(name)
    text = (ROOT / f'configs/{name}.py').read_text()
    own = re.search(r'_base_/datasets/(\w+)\.py', text)
    own = dataset_name(own[1]) if own else name.rpartition('_')[2].removesuffix('-384px')
    after = apply_data(recipe(name), own if 'drloc' not in name else 'cifar100')
    assert {key: before[key] for key in after} == after.to_dict()


def test_batch_sampler_and_subset_are_those_of_the_training():
    plus = apply_data(recipe('convit/convit-tiny-plus_8xb64-1000e_cifar100'), 'flowers102')
    assert plus.train_dataloader.batch_size == 64
    assert plus.train_dataloader.sampler.type == 'RepeatAugSampler'
    tenth = recipe()
    tenth.train_dataloader.dataset = dict(
        type='ClassSubset', num_per_class=50, dataset=tenth.train_dataloader.dataset
    )
    dataset = apply_data(tenth, 'svhn').train_dataloader.dataset
    assert (dataset.type, dataset.num_per_class, dataset.dataset.type) == (
        'ClassSubset', 50, 'SVHN',
    )  # fmt: skip


def test_a_trained_model_keeps_its_mean_and_its_head():
    cfg = recipe('convit_drloc_cifar')
    mean = cfg.data_preprocessor.mean
    cfg = apply_data(cfg, 'imagenet_vit_224', trained=True)
    assert (cfg.data_preprocessor.mean, cfg.data_preprocessor.to_rgb) == (mean, True)
    assert cfg.model.head.head.num_classes == 10
    assert cfg.test_dataloader.dataset.type == 'ImageNet'


def test_a_file_with_loaders(tmp_path, capsys):
    data = read_data('cifar100', recipe())
    data.train_dataloader.update(batch_size=7)
    data.data_preprocessor.update(num_classes=3)
    data.dump(tmp_path / 'mine.py')
    cfg = apply_data(recipe(), tmp_path / 'mine.py')
    assert cfg.model.head.head.num_classes == 3
    assert cfg.test_evaluator.topk == (1,)  # top 5 of three classes would always be right
    assert cfg.train_dataloader.batch_size == 128
    assert 'batch_size=7 are not taken' in capsys.readouterr().out
    packaged = apply_data(recipe(), 'configs/_base_/datasets/svhn_224.py')
    assert packaged.train_dataloader.dataset.type == 'SVHN'


def test_a_file_without_what_is_needed(tmp_path):
    (tmp_path / 'mine.py').write_text("train_dataloader = dict(dataset=dict(type='CIFAR10'))")
    with pytest.raises(ValueError, match='has no val_dataloader and no test_dataloader'):
        apply_data(recipe(), tmp_path / 'mine.py')
    data = read_data('cifar100', recipe())
    del data.data_preprocessor['num_classes']
    with pytest.raises(ValueError, match=r'data_preprocessor = dict\(num_classes=...\)'):
        use_data(recipe(), data)
    with pytest.raises(FileNotFoundError, match=r'nothing\.py'):
        apply_data(recipe(), 'nothing.py')


def test_only_the_images_that_are_read_need_to_be_there():
    data = read_data('cifar100', recipe())
    data.pop('val_dataloader')
    probed = use_data(recipe(), deepcopy(data), trained=True, splits=('train', 'test'))
    assert probed.val_dataloader is probed.val_evaluator is probed.val_cfg is None
    assert probed.train_dataloader.dataset.split == 'train'
    data.pop('train_dataloader')
    for trained in (False, True):
        cfg = use_data(recipe(), deepcopy(data), trained=trained, splits=('test',))
        assert cfg.train_dataloader is cfg.train_cfg is cfg.optim_wrapper is None
        assert cfg.test_dataloader.dataset.split == 'test'
    with pytest.raises(ValueError, match='has no train_dataloader, which'):
        use_data(recipe(), data, trained=True, splits=('train', 'test'))


def test_what_does_not_fit_is_refused_in_words():
    with pytest.raises(ValueError, match='did you mean svhn'):
        apply_data(recipe(), 'svnh')
    with pytest.raises(ValueError, match=r'images of 384 px, and the model of .* is for 224 px'):
        apply_data(recipe(), 'cifar10_vit_384')
    with pytest.raises(ValueError, match=r'images of 32 px, and this dataset is there at 224 px'):
        apply_data(recipe('convit_drloc_cifar'), 'svhn')
    with pytest.raises(ValueError, match=r'recipe for classification .* Take one .*svhn'):
        apply_data(recipe(), 'sop')
    with pytest.raises(ValueError, match=r'recipe for retrieval .* Take one .*: cub, '):
        apply_data(recipe('retrieval/irt-r-deit-small_1xb64-2k_cub'), 'svhn')
    with pytest.raises(ValueError, match=r'sfm120k.* trains on tuples'):
        apply_data(recipe('retrieval/irt-r-deit-small_1xb64-2k_cub'), 'sfm120k')
    cfg = recipe()
    cfg.custom_hooks = [dict(type='SwitchRecipeHook', schedule=[dict(train_pipeline=[dict()])])]
    with pytest.raises(ValueError, match='has a train_pipeline for its own dataset'):
        apply_data(cfg, 'svhn')


@pytest.mark.parametrize('name', ['digits', 'cifar10_32'])
def test_messages_name_data_and_recipe_as_on_the_command_line(name, tmp_path, monkeypatch):
    told = rf'^--data {name} gives .* model of configs/{SWIN}\.py is for 224 px\. Take a dataset'
    with pytest.raises(ValueError, match=told):
        apply_data(recipe(), name)
    read_data(name, recipe()).dump(tmp_path / 'mine.py')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r'^--data mine\.py gives'):
        apply_data(recipe(), 'mine.py')


def test_retrieval_data_for_a_retrieval_recipe():
    cfg = apply_data(recipe('retrieval/irt-r-deit-small_1xb64-2k_cub'), 'in-shop')
    assert cfg.train_dataloader.dataset.type == 'InShopRetrieval'
    assert cfg.test_evaluator.topk == (1, 10, 20, 30)
    assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'  # of the training
    evaluated = apply_data(recipe('retrieval/irt-o-deit-small_sop'), 'cub')
    assert evaluated.train_dataloader is None
    assert evaluated.test_dataloader.dataset.type == 'CUBRetrieval'


def test_a_size_that_the_backbone_does_not_say_is_that_of_the_recipe(capsys):
    resnet = 'drloc/resnet50-drloc_8xb128-100e'
    assert 'img_size' not in recipe(resnet).model.backbone
    with pytest.raises(ValueError, match=r'gives images of 32 px, and the model of .* is for 224'):
        apply_data(recipe(resnet), 'cifar10_32')
    apply_data(recipe(resnet), 'cifar10_224', trained=True)
    assert 'gives images' not in capsys.readouterr().out
    apply_data(recipe(resnet), 'cifar10_32', trained=True)
    assert 'gives images of 32 px' in capsys.readouterr().out


@pytest.mark.parametrize('trained', [False, True])
@pytest.mark.parametrize('settings', [None, dict(num_classes=10)])
def test_the_colours_of_the_recipe_stay_where_the_data_do_not_say(settings, trained):
    cfg, data = recipe('convit/convit-small_8xb128_in1k'), read_data('svhn', recipe())
    before = dict(cfg.data_preprocessor, num_classes=10)
    assert before['to_rgb']
    data.pop('data_preprocessor')
    data.model = dict(head=dict(num_classes=10))  # as in a complete config
    if settings:
        data.data_preprocessor = settings
    after = use_data(cfg, data, trained=trained).data_preprocessor
    assert {**after, 'num_classes': 10} == before
