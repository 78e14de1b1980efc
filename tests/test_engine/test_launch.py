"""Ranks, loaders and mixed precision, chosen by the devices of the machine."""

import argparse
import copy
import os
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
from mmengine.config import Config
from ranks import Meeting

from vit_plugins.engine import launch, ranks, run_defaults
from vit_plugins.engine.hooks import TrainingGuardHook
from vit_plugins.engine.optim_wrappers import AutocastOptimWrapper
from vit_plugins.resources import resource_root


@pytest.fixture
def device(monkeypatch):
    def pretend(name: str) -> None:
        for module in (ranks, run_defaults):
            monkeypatch.setattr(module, 'get_device', lambda: name)

    return pretend


def test_gloo_and_a_wrapper_without_devices_on_a_cpu(device, monkeypatch):
    device('cpu')
    started = []
    monkeypatch.setattr(
        ranks.torch_dist, 'init_process_group', lambda *args, **kw: started.append((args, kw))
    )
    cfg = Config(dict(find_unused_parameters=True))
    ranks.start_ranks(cfg, 'pytorch')
    assert started == [(('gloo',), {})]
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=True,
        device_ids=None,
    )


def test_the_config_chooses_the_backend_on_gpus(device, monkeypatch):
    device('cuda')
    started = {}
    monkeypatch.setattr(ranks, 'init_dist', lambda launcher, **kw: started.update({launcher: kw}))
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60))))
    ranks.start_ranks(cfg, 'slurm')
    assert started == {'slurm': dict(backend='nccl', timeout=60)}
    assert 'model_wrapper_cfg' not in cfg


@pytest.mark.parametrize('seconds', [60, 0.5])
def test_the_config_chooses_the_timeout_on_a_cpu(device, monkeypatch, seconds):
    device('cpu')
    started = {}
    monkeypatch.setattr(
        ranks.torch_dist, 'init_process_group', lambda backend, **kw: started.update(kw)
    )
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=seconds))))
    ranks.start_ranks(cfg, 'pytorch')
    assert started == dict(timeout=timedelta(seconds=seconds))


@pytest.mark.parametrize('seconds', [0, -1, '60', True])
def test_a_timeout_is_a_number_of_seconds(device, seconds):
    device('cpu')
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=seconds))))
    with pytest.raises(ValueError, match=r'env_cfg\.dist_cfg\.timeout \(.*\) must be a positive'):
        ranks.start_ranks(cfg, 'pytorch')


WAIT = """
import sys, time
import torch.distributed as dist
from mmengine.config import Config
from vit_plugins.engine.ranks import start_ranks
start_ranks(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=8)))), 'pytorch')
dist.barrier()
if dist.get_rank() == 1:
    time.sleep(60)
start = time.monotonic()
try:
    dist.barrier()
except RuntimeError:
    print(f'gave up after {time.monotonic() - start:.1f} s', flush=True)
"""


@pytest.mark.slow
def test_a_rank_that_waits_on_a_cpu_gives_up_after_the_timeout():
    meeting, ranks = Meeting(), []
    for rank in range(2):
        env = meeting.environment(rank) | dict(CUDA_VISIBLE_DEVICES='')
        command = [sys.executable, '-c', WAIT]
        ranks.append(
            subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE, text=True)
        )
    try:
        out, _ = ranks[0].communicate(timeout=120)
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert 8 <= float(out.split()[-2]) < 30


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_without_a_cpu_form(device, launcher):
    device('cpu')
    with pytest.raises(ValueError, match=f'--launcher {launcher} needs GPUs'):
        ranks.start_ranks(Config(), launcher)


def test_a_test_needs_no_shards():
    sharded = dict(strategy=dict(type='PortableFSDPStrategy'), runner_type='FlexibleRunner')
    for keys, left in ((sharded, {}), (dict(runner_type='Mine'), dict(runner_type='Mine'))):
        cfg = Config(dict(keys))
        ranks.leave_whole(cfg)
        assert cfg.to_dict() == left


def test_a_wrapper_that_shards_is_refused():
    cfg = Config(dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel')))
    with pytest.raises(ValueError, match=r'MMFullyShardedDataParallel: .* set strategy=dict'):
        launch.start_ranks(cfg, 'pytorch')


def test_averaged_weights_are_refused_with_a_strategy():
    strategy = dict(type='PortableFSDPStrategy')
    cfg = Config(dict(strategy=strategy, custom_hooks=[dict(type='EMAHook', momentum=0.1)]))
    with pytest.raises(ValueError, match=r'EMAHook .*strategy=PortableFSDPStrategy: .* remove'):
        launch.build_runner(cfg)


@pytest.mark.parametrize('strategy', [None, dict(type='SingleDeviceStrategy')])
def test_checkpoints_with_a_new_best_score_say_their_own_epoch(toy, tmp_path, strategy):
    """FlexibleRunner writes epoch 2 into epoch_1.pth: a resumed run would leave one out."""
    settings = toy.settings(tmp_path)
    loader = settings['train_dataloader'] | dict(
        sampler=dict(type='DefaultSampler', shuffle=False)
    )
    settings |= dict(val_dataloader=loader, val_cfg={}, val_evaluator=dict(type='Accuracy'))
    settings['default_hooks']['checkpoint'] |= dict(save_best='auto', max_keep_ckpts=9)
    settings['train_cfg'] |= dict(max_epochs=2)
    settings |= {} if strategy is None else dict(strategy=strategy)
    launch.build_runner(Config(settings), quiet=True).train()
    files = [*tmp_path.glob('*.pth')]
    found = {file.name: torch.load(file, weights_only=False)['meta'] for file in files}
    assert {'epoch_1.pth', 'epoch_2.pth'} < found.keys()  # and the best one
    for name, meta in found.items():
        epoch = int(name[-5])
        assert (meta['epoch'], meta['iter']) == (epoch, 4 * epoch), name


def test_loaders_get_what_the_machine_can_use(device):
    cfg = Config(
        dict(train_dataloader=dict(num_workers=2), val_dataloader=dict(num_workers=0))
        | dict(test_dataloader=dict(num_workers=2, pin_memory=False, collate_fn='mine'))
    )
    device('cuda')
    run_defaults.set_loader_defaults(cfg, ['train', 'val', 'test'])
    assert (cfg.train_dataloader.pin_memory, cfg.train_dataloader.persistent_workers) == (
        True,
    ) * 2
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')
    assert not cfg.val_dataloader.persistent_workers  # torch refuses it without workers
    assert not cfg.test_dataloader.pin_memory
    assert cfg.test_dataloader.collate_fn == 'mine'
    cfg = Config(dict(train_dataloader=dict(num_workers=2)))
    device('cpu')
    run_defaults.set_loader_defaults(cfg, ['train', 'val'], persistent_workers=False)
    assert not cfg.train_dataloader.pin_memory
    assert not cfg.train_dataloader.persistent_workers


@pytest.mark.parametrize('kept_on', ['cpu', 'cuda'])
def test_images_on_a_gpu_below_wrappers_are_not_pinned(device, kept_on):
    kept = dict(type='CachedImages', device=kept_on, dataset=dict(type='Digits'))
    concat = dict(type='ConcatDataset', datasets=[dict(type='Digits'), kept])
    dataset = dict(type='RepeatDataset', times=2, dataset=concat)
    cfg = Config(dict(train_dataloader=dict(num_workers=0, dataset=dataset)))
    device('cuda')
    run_defaults.set_loader_defaults(cfg, ['train'])
    assert cfg.train_dataloader.pin_memory == (kept_on == 'cpu')


def test_amp_takes_the_wrapper_of_the_device(device):
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', dtype='bfloat16')))
    device('cuda')
    run_defaults.use_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', loss_scale='dynamic', dtype='bfloat16'
    )
    device('cpu')
    run_defaults.use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AutocastOptimWrapper')


def test_autocast_wrapper_computes_in_bfloat16_and_updates_in_fp32():
    model = torch.nn.Linear(4, 2)
    wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 4, device=model.weight.device))
    if not torch.cuda.is_available():  # the host's autocast names the machine's device
        assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


def test_autocast_wrapper_refuses_fp16():
    with pytest.raises(ValueError, match='float16 needs loss scaling: use AmpOptimWrapper'):
        AutocastOptimWrapper(optimizer=None, dtype='float16')


def test_a_config_based_on_others_gets_the_hooks_of_ours():
    cfg = Config(dict(default_hooks=dict(timer=dict(type='IterTimerHook'))))
    run_defaults.add_own_hooks(cfg)
    assert {'timer', *run_defaults.OWN_HOOKS} == set(cfg.default_hooks)
    assert cfg.default_hooks.seeded_draws == dict(type='SeededDrawsHook')


def test_hooks_that_a_config_names_stay_as_they_are():
    cfg = Config(dict(custom_hooks=[dict(type=kind) for kind in run_defaults.OWN_HOOKS.values()]))
    run_defaults.add_own_hooks(cfg)
    assert cfg.default_hooks == {}
    # by scope, and as a class
    kinds = ['mmpretrain.SeededDrawsHook', TrainingGuardHook]
    cfg = Config(dict(custom_hooks=[dict(type=kind) for kind in kinds]))
    run_defaults.add_own_hooks(cfg)
    assert cfg.default_hooks == dict(grouped_step=dict(type='GroupedStepHook'))
    cfg = Config.fromfile('configs/_base_/default_runtime.py')
    before = copy.deepcopy(cfg.default_hooks)
    run_defaults.add_own_hooks(cfg)
    assert cfg.default_hooks == before | dict(grouped_step=dict(type='GroupedStepHook'))


@pytest.mark.parametrize(
    'off', [list(run_defaults.OWN_HOOKS), ['seeded_draws', 'timer', 'progress']]
)
def test_a_hook_that_is_none_is_off(toy, tmp_path, off):
    settings = toy.settings(tmp_path)
    settings['default_hooks'] |= dict.fromkeys(off)
    cfg = Config(settings)
    run_defaults.add_own_hooks(cfg)
    runner = launch.build_runner(cfg)
    kinds = {type(hook).__name__ for hook in runner.hooks}
    assert 'SeededDrawsHook' not in kinds
    assert ('IterTimerHook' in kinds) == ('timer' not in off)
    assert ('TrainingGuardHook' in kinds) == ('training_guard' not in off)


def test_hooks_without_any_default_one():
    cfg = Config(dict(default_hooks=None))
    run_defaults.add_own_hooks(cfg)
    assert set(cfg.default_hooks) == set(run_defaults.OWN_HOOKS)


CONFIGS = resource_root() / 'configs'


def read_digits(options=None, trained=False, **more):
    """Read the recipe of the digits as the tools do."""
    args = argparse.Namespace(
        config=str(CONFIGS / 'convit_drloc_digits.py'), local_rank=0, launcher='none', data=None
    )
    vars(args).update(cfg_options=options, **more)
    return launch.read_config(args, trained=trained)


@pytest.fixture
def letters(tmp_path):
    """Write a file with loaders of four classes."""
    data = Config.fromfile(CONFIGS / '_base_/datasets/digits.py')
    data.data_preprocessor.num_classes = 4
    data.test_dataloader.dataset.split = 'trainval'
    data.dump(tmp_path / 'letters.py')
    return str(tmp_path / 'letters.py')


def test_options_are_the_last_word_on_other_data(letters):
    cfg = read_digits({'test_dataloader.dataset.split': 'val'}, data=letters)
    assert cfg.model.head.head.num_classes == 4
    assert cfg.test_dataloader.dataset.split == 'val'
    assert read_digits(data=letters).test_dataloader.dataset.split == 'trainval'


def test_a_part_of_the_images_from_the_command_line():
    whole, half = read_digits(), read_digits(fraction=0.5, subset='random')
    assert half.train_dataloader.dataset.mode == 'random'
    assert half.train_cfg.max_epochs == 2 * whole.train_cfg.max_epochs


def test_a_trained_model_is_tested_on_data_of_its_classes(letters):
    with pytest.raises(SystemExit, match='has 4 classes, and the model tells 10 apart'):
        read_digits(data=letters, trained=True)
    assert read_digits(data='digits', trained=True).test_dataloader.dataset.type == 'Digits'
    silent = Config.fromfile(letters)
    del silent.data_preprocessor['num_classes']
    silent.dump(letters)
    with pytest.raises(SystemExit, match=r'data_preprocessor = dict\(num_classes=...\)'):
        read_digits(data=letters, trained=True)
    with pytest.raises(SystemExit, match='dataset for retrieval'):
        read_digits(data='cub_retrieval_224', trained=True)


def test_what_is_not_there_is_told_in_words():
    with pytest.raises(SystemExit, match='did you mean digits'):
        read_digits(data='digit')
    with pytest.raises(SystemExit, match='--fraction must lie within'):
        read_digits(fraction=2.0, subset='first')
    with pytest.raises(SystemExit, match=r'is gone: use configs/drloc/resnet50_8xb128-100e\.py'):
        read_digits(config='configs/drloc/svhn/resnet50_8xb128-100e_svhn.py')
