"""What the stages train: configs and studies on a GPU, without one."""

import pytest
from mmengine import Config
from mmpretrain.registry import DATASETS

from vit_plugins.benchmarks.gpu_suite import decoding
from vit_plugins.benchmarks.gpu_suite.stages import STAGES
from vit_plugins.benchmarks.gpu_suite.trainings import (
    make_toy_images,
    time_budget,
    write_study,
    write_training,
)
from vit_plugins.engine.run_defaults import set_loader_defaults
from vit_plugins.studies.grid import make_cells, read_study

STUDIES = {
    'small_data/hybrid_tenth_gpu_cifar10.yaml': 12,
    'drloc/on_off_gpu_cifar10.yaml': 12,
    'deit3/ablation_gpu_cifar10.yaml': 12,
}
RECIPES = ('small_data/hybrid_convit_cifar10.py', 'small_data/resnet18_cifar10.py')


def check(cfg, job):
    """Check that a training runs on the device, in bf16 and within its time."""
    for loader, part in (('train_dataloader', 'train'), ('val_dataloader', 'test')):
        dataset = cfg[loader].dataset
        assert (dataset.type, dataset.device) == ('CachedImages', 'cuda')
        assert dataset.cache_dir == str(job.cache)
        while 'dataset' in dataset:
            dataset = dataset.dataset
        assert dataset.data_root == str(job.images / part)
        assert cfg[loader].num_workers == 0
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.dtype == 'bfloat16'
    assert [t.type for t in cfg.data_preprocessor.batch_transforms][:1] == [
        'BatchSimpleRandomCrop'
    ]
    assert cfg.custom_hooks[-1] == time_budget(job)


@pytest.mark.parametrize(('study', 'number'), STUDIES.items())
def test_study_on_a_gpu(study, number, make_job):
    job = make_job()
    cells = make_cells(read_study(write_study(job, study)))
    assert len(cells) == number  # side by side
    for cell in cells:
        check(cell.stages[0], job)
        assert cell.stages[0].train_cfg.max_iters * 500 == 100 * 5000  # 100 epochs


@pytest.mark.parametrize('recipe', RECIPES)
def test_recipe_on_a_gpu(recipe, make_job):
    job = make_job()
    cfg = Config.fromfile(write_training(job, recipe, 20))
    check(cfg, job)
    assert cfg.train_cfg.max_epochs == 20
    assert cfg.param_scheduler[0].warmup == 2
    assert cfg.train_dataloader.batch_size == 512
    assert [hook.type for hook in cfg.custom_hooks] == [
        'EMAHook',
        'FractionalSwitchRecipeHook',
        'TimeBudgetHook',
    ]


def test_first_half_has_no_budget(make_job):
    cfg = Config.fromfile(write_training(make_job(), RECIPES[0], 300, ends=False))
    assert 'TimeBudgetHook' not in [hook.type for hook in cfg.custom_hooks]
    assert cfg.default_hooks.checkpoint.interval == 5


def test_trainings_end_before_their_stage(make_job):
    assert time_budget(make_job(seconds=150.0))['seconds'] == 120
    assert time_budget(make_job(seconds=40.0))['seconds'] == 30


@pytest.mark.parametrize('stage', STAGES, ids=lambda stage: stage.number)
def test_command_of_each_stage_on_a_gpu(stage, make_job):
    job = make_job()
    if stage.number == '9b':
        with pytest.raises(FileNotFoundError, match=r'there is no .*epochs300.part0: run the st'):
            stage.command(job)
        return
    words = stage.command(job)
    assert all(isinstance(word, str) for word in words)
    assert ('large' in words) == (stage.number == '9e')
    assert ('--no-baselines' in words) == words[1].endswith('train.py')
    if words[1].endswith('.py'):
        assert (job.root / words[1]).is_file()


@pytest.mark.slow
def test_images_are_decoded_once_for_all(make_job):
    """The decoding in the background leaves what a training looks for."""
    job = make_job(device='cpu')
    make_toy_images(job.images)
    config = write_training(job, RECIPES[0], 1)
    decoding.main([str(config)])
    files = {path: path.stat().st_mtime_ns for path in job.cache.glob('*.npy')}
    assert len(files) == 2
    cfg = Config.fromfile(write_training(job, RECIPES[1], 5))
    for loader, number in (('train_dataloader', 30), ('val_dataloader', 20)):
        assert len(DATASETS.build(cfg[loader].dataset)) == number
    assert {path: path.stat().st_mtime_ns for path in job.cache.glob('*.npy')} == files


def test_images_on_a_gpu_are_not_pinned(make_job, monkeypatch):
    cfg = Config.fromfile(write_training(make_job(), RECIPES[0], 1))
    monkeypatch.setattr('vit_plugins.engine.run_defaults.get_device', lambda: 'cuda')
    set_loader_defaults(cfg, ['train', 'val'])
    assert not cfg.train_dataloader.pin_memory
    assert not cfg.val_dataloader.pin_memory
    cfg.train_dataloader.dataset.device = 'cpu'
    del cfg.train_dataloader['pin_memory']
    set_loader_defaults(cfg, ['train'])
    assert cfg.train_dataloader.pin_memory
