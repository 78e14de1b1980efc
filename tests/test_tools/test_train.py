"""The training job: its files, its flags, and resuming after a crash."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from PIL import Image

from vit_plugins.command_line.commands import train as train_command
from vit_plugins.engine.launch import build_trainer
from vit_plugins.engine.run_defaults import OWN_HOOKS
from vit_plugins.fileio.run_record import RunRecord, write_record

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIGS = TOOLS.parent / 'configs'


def validations(work_dir: Path) -> dict[int, float]:
    """Return the accuracy of each epoch from the logs of all runs; later runs overwrite."""
    found = {}
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if 'accuracy/top1' in entry:
                found[entry['step']] = entry['accuracy/top1']
    return found


@pytest.fixture(scope='module')
def trained(job, train_tool, tmp_path_factory) -> Path:
    work_dir = tmp_path_factory.mktemp('trained')
    train_tool.main([str(job()), '--work-dir', str(work_dir)])
    return work_dir


@pytest.fixture
def interrupted(trained, tmp_path) -> Path:
    """Return a work dir after a kill during the third save."""
    work_dir = tmp_path / 'work'
    shutil.copytree(trained, work_dir)
    newest = work_dir / 'epoch_3.pth'
    newest.write_bytes(newest.read_bytes()[:-5000])
    half = work_dir / 'epoch_3.pth.partial'  # as a former version leaves it, long ago
    half.write_bytes(b'half')
    os.utime(half, (0, 0))
    (work_dir / 'last_checkpoint').write_text('/nowhere/epoch_7.pth')
    (work_dir / 'learning_curve.png').unlink()
    return work_dir


def test_training_leaves_checkpoints_log_curve_and_config(trained):
    names = {path.name for path in trained.iterdir() if path.is_file()}
    assert {'epoch_3.pth', 'learning_curve.png', 'tiny.py'} <= names
    assert any(name.startswith('best_accuracy_top1_epoch_') for name in names)
    assert not any(name.endswith('.partial') for name in names)
    assert sorted(validations(trained)) == [1, 2, 3]
    log = next(trained.glob('*/*.log')).read_text()
    assert re.search(r'Epoch\(val\) \[3\]\[5/5\] +accuracy/top1: \d', log)


def test_test_tool_repeats_the_accuracy_of_training(trained, test_tool, job, tmp_path):
    metrics = test_tool.main(
        [str(job()), str(trained / 'epoch_3.pth'), '--work-dir', str(tmp_path)]
    )
    assert metrics['accuracy/top1'] == validations(trained)[3]


def test_resume_skips_a_truncated_checkpoint_and_ends_as_if_nothing_happened(
    trained, interrupted, job, train_tool
):
    train_tool.main([str(job()), '--work-dir', str(interrupted), '--resume'])

    assert not list(interrupted.glob('*.partial'))
    assert (interrupted / 'learning_curve.png').is_file()
    assert validations(interrupted) == validations(trained)
    whole, resumed = (
        CheckpointLoader.load_checkpoint(str(folder / 'epoch_3.pth'))
        for folder in (trained, interrupted)
    )
    for name, weight in whole['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][name], weight, rtol=0, atol=0)
    curve = resumed['message_hub']['runtime_info']['learning_curve']
    assert [step for step, _ in curve['losses']['loss']] == [1, 2, 3]


def test_resume_validates_what_the_crash_left_unvalidated(trained, interrupted, job, train_tool):
    """A job that is killed between the last save and its validation has no step left."""
    shutil.copy(trained / 'epoch_3.pth', interrupted)
    for log in interrupted.glob('*/vis_data/scalars.json'):
        log.unlink()
    checkpoint = CheckpointLoader.load_checkpoint(str(interrupted / 'epoch_3.pth'))
    checkpoint['message_hub']['runtime_info']['step_validated'] = 2
    torch.save(checkpoint, interrupted / 'epoch_3.pth')

    train_tool.main([str(job()), '--work-dir', str(interrupted), '--resume'])

    assert validations(interrupted) == {3: validations(trained)[3]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'added', 'saved'),
    [
        ('ema', "custom_hooks = [dict(type='EMAHook', momentum=0.1)]", 'epoch_{}.pth'),
        (
            'by_iter',
            """
train_cfg = dict(by_epoch=False, max_iters=3, val_interval=1)
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=False, T_max=3)
default_hooks = dict(checkpoint=dict(by_epoch=False), logger=dict(log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
""",
            'iter_{}.pth',
        ),
    ],
)
def test_resume_with_averaged_weights_and_by_iterations(
    name, added, saved, job, train_tool, test_tool, tmp_path
):
    arguments = [str(job(name, added)), '--work-dir', str(tmp_path), '--amp']
    train_tool.main(arguments)
    newest = tmp_path / saved.format(3)
    whole = CheckpointLoader.load_checkpoint(str(newest))
    newest.unlink()
    train_tool.main([*arguments, '--resume'])
    resumed = CheckpointLoader.load_checkpoint(str(newest))
    for part in {'state_dict', 'ema_state_dict'} & set(whole):
        for key, weight in whole[part].items():
            torch.testing.assert_close(resumed[part][key], weight, rtol=0, atol=0)
    metrics = test_tool.main([arguments[0], str(newest), '--work-dir', str(tmp_path / 'test')])
    measured = resumed['message_hub']['runtime_info']['learning_curve']['metrics']
    assert [step for step, _ in measured['accuracy/top1']][:2] == [1, 2]
    assert metrics['accuracy/top1'] == validations(tmp_path)[3]


def test_hooks_of_ours_can_be_switched_off(job, train_tool, tmp_path):
    off = [f'default_hooks.{name}=None' for name in OWN_HOOKS]
    args = [str(job()), '--work-dir', str(tmp_path), '--cfg-options', *off]
    runner = build_trainer(train_command.complete_config(train_tool.parse_args(args)))
    kinds = {type(hook).__name__ for hook in runner.hooks}
    assert not set(OWN_HOOKS.values()) & kinds
    assert {'LoggerHook', 'BoundedHistoryHook'} <= kinds


@pytest.mark.parametrize('settings', [{}, dict(resume=False), dict(resume=True)])
def test_advice_on_weights_that_do_not_fit(train_tool, settings):
    advice = train_command._advice(Config(settings))
    assert ('--pretrained takes the backbone alone' in advice) == (not settings.get('resume'))


def test_resume_without_checkpoint_starts_fresh_and_keeps_load_from(
    job, train_tool, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(
        'vit_plugins.weights.newest_checkpoint.print_log', lambda text, **_: said.append(text)
    )
    args = train_tool.parse_args([str(job()), '--work-dir', str(tmp_path), '--resume'])
    (weights := tmp_path / 'weights.pth').touch()
    args.cfg_options = dict(load_from=str(weights))
    cfg = train_command.complete_config(args)
    assert (cfg.resume, cfg.load_from) == (False, str(weights))
    assert said == [f'No checkpoint in {tmp_path}: starting fresh']


def test_check_takes_one_step_and_keeps_nothing(job, train_tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_tool.main([str(job()), '--check'])
    out = capsys.readouterr().out
    assert re.search(r'one step    lr 0.0003  loss \d\.\d', out)
    assert re.search(r'validation  36 images; one batch: accuracy/top1 \d', out)
    assert 'check passed' in out
    assert not list(tmp_path.iterdir())


def test_check_builds_the_schedule_of_a_training_that_counts_steps(job, train_tool, capsys):
    """Its warm-up may be longer than an epoch."""
    added = """
train_cfg = dict(by_epoch=False, max_iters=60, val_interval=60)
param_scheduler = [dict(type='WarmupCosineLR', warmup=50, by_epoch=False)]
"""
    train_tool.main([str(job('by_steps', added)), '--check'])
    assert re.search(r'batches of \d+, 60 steps', capsys.readouterr().out)


def test_check_refuses_a_loss_that_is_no_number(job, train_tool):
    options = ['--cfg-options', 'data_preprocessor.std=[0,0,0]']
    with pytest.raises(SystemExit, match='the first step gave'):
        train_tool.main([str(job()), '--check', *options])


def test_amp_on_a_cpu_runs_the_forward_in_bfloat16(job, train_tool, tmp_path):
    args = train_tool.parse_args([str(job()), '--work-dir', str(tmp_path), '--amp'])
    cfg = train_command.complete_config(args)
    expected = 'AmpOptimWrapper' if torch.cuda.is_available() else 'AutocastOptimWrapper'
    assert cfg.optim_wrapper.type == expected
    train_tool.main([str(job()), '--amp', '--check'])


def test_flags_of_the_host(job, train_tool, tmp_path):
    config = str(job('scaled', 'auto_scale_lr = dict(base_batch_size=16)'))
    other = tmp_path / 'other.pth'
    other.touch()
    flags = f'--work-dir {tmp_path} --no-validate --auto-scale-lr --resume {other}'.split()
    flags += ['--no-pin-memory', '--no-persistent-workers']
    flags += ['--cfg-options', 'train_cfg.max_epochs=7', 'train_dataloader.num_workers=2']
    cfg = train_command.complete_config(train_tool.parse_args([config, *flags]))
    assert cfg.val_dataloader is None
    assert cfg.auto_scale_lr.enable
    assert (cfg.resume, cfg.load_from) == (True, str(other))
    assert not cfg.train_dataloader.pin_memory
    assert not cfg.train_dataloader.persistent_workers
    assert cfg.train_cfg.max_epochs == 7


def test_auto_scale_lr_needs_a_batch_size(job, train_tool):
    with pytest.raises(SystemExit, match='add auto_scale_lr = dict'):
        train_command.complete_config(train_tool.parse_args([str(job()), '--auto-scale-lr']))


def test_data_that_do_not_fit_end_the_job_with_their_name(job, train_tool, tmp_path):
    with pytest.raises(SystemExit, match=re.escape(str(tmp_path))):
        train_tool.main([str(job()), '--data-root', str(tmp_path), '--work-dir', str(tmp_path)])


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_tell_their_usage(script):
    result = subprocess.run(
        ['bash', str(TOOLS / script)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert 'usage:' in result.stderr


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_several_machines_need_the_address_of_the_first(script):
    outside = {name: value for name, value in os.environ.items() if name != 'MASTER_ADDR'}
    result = subprocess.run(
        ['bash', str(TOOLS / script), 'config.py', 'file.pth', '8'],
        env={**outside, 'NNODES': '2', 'NODE_RANK': '1'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert 'set MASTER_ADDR to the name of the machine that has NODE_RANK=0' in result.stderr


def started_by(script, arguments, settings, tmp_path):
    """Return the words that a script starts Python or srun with."""
    for name in ('python', 'srun'):
        (tmp_path / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (tmp_path / name).chmod(0o755)
    outside = {k: v for k, v in os.environ.items() if k not in ('PORT', 'NNODES', 'NODE_RANK')}
    own = {'PATH': f'{tmp_path}:{outside["PATH"]}', 'PYTHON': str(tmp_path / 'python')}
    done = subprocess.run(
        ['bash', str(TOOLS / script), *arguments],
        env={**outside, **own, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


OPTIONS = ['--cfg-options', 'a.b=[1, 3]', 'c=two words']


@pytest.mark.parametrize(
    ('settings', 'rendezvous'),
    [
        ({}, ['--standalone']),
        (
            {'PORT': '29501'},
            ['--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1', '--master_port=29501'],
        ),
        (
            {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': 'host0'},
            ['--nnodes=2', '--node_rank=1', '--master_addr=host0', '--master_port=29500'],
        ),
    ],
)
@pytest.mark.parametrize('script', ['train', 'test'])
def test_scripts_start_the_ranks_of_this_python_with_every_argument_whole(
    script, settings, rendezvous, tmp_path
):
    config = ['a config.py', *(['w.pth'] if script == 'test' else [])]
    words = started_by(f'dist_{script}.sh', [*config, '2', *OPTIONS], settings, tmp_path)
    start = ['-m', 'torch.distributed.run', *rendezvous, '--nproc_per_node=2']
    assert words == [
        *start,
        f'{TOOLS}/{script}.py',
        *config,
        *('--launcher', 'pytorch'),
        *OPTIONS,
    ]


def test_slurm_starts_a_task_for_each_gpu(tmp_path):
    settings = {'GPUS': '16', 'SRUN_ARGS': '--time=1-0 --exclusive'}
    arguments = ['gpus', 'a job', 'a config.py', *OPTIONS]
    words = started_by('slurm_train.sh', arguments, settings, tmp_path)
    python = words.index(str(tmp_path / 'python'))
    asked = {'--partition=gpus', '--job-name=a job', '--gres=gpu:8', '--ntasks=16'}
    assert {*asked, '--ntasks-per-node=8', '--time=1-0', '--exclusive'} < {*words[:python]}
    tool = ['-u', f'{TOOLS}/train.py', 'a config.py', '--launcher', 'slurm']
    assert words[python + 1 :] == [*tool, *OPTIONS]


def environment() -> dict[str, str]:
    """Return the environment of a rank, with this checkout importable and this Python chosen."""
    path = os.pathsep.join([str(TOOLS.parent), os.environ.get('PYTHONPATH', '')])
    return {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


@pytest.mark.slow
def test_ten_kills_at_random_moments(job, test_tool, tmp_path):
    """With SIGKILL, also while saving; each run is resumed, the last one ends, a test agrees."""
    epochs = 60
    added = f"""
train_cfg = dict(by_epoch=True, max_epochs={epochs})
model['backbone']['arch']['embed_dims'] = model['head']['in_channels'] = 256  # longer saves
"""
    config = job('killed', added)
    work_dir = tmp_path / 'work'
    command = [
        sys.executable,
        str(TOOLS / 'train.py'),
        str(config),
        '--work-dir',
        str(work_dir),
        '--resume',
    ]
    moments = random.Random(0)

    def newest() -> int:
        return max((int(p.stem[6:]) for p in work_dir.glob('epoch_*.pth')), default=0)

    reached, half_written, log = [], 0, tmp_path / 'log'
    for kill in range(10):
        before = newest()
        with log.open('a') as file:
            process = subprocess.Popen(command, env=environment(), stdout=file, stderr=file)
        if kill % 2:  # while a checkpoint is being written
            saving = f'epoch_{before + moments.randint(1, 4)}.pth.*.partial'
            while process.poll() is None and not any(work_dir.glob(saving)):
                time.sleep(0.0005)
        else:
            while process.poll() is None and newest() <= before:
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.3))
        assert process.poll() is None, 'the job ended before it was killed: give it more epochs'
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached.append(newest())
        half_written += len(list(work_dir.glob('*.partial')))
        if kill == 4:  # and once as a file system without our care would leave it
            path = work_dir / f'epoch_{newest()}.pth'
            path.write_bytes(path.read_bytes()[:-1000])
    assert reached == sorted(reached)
    assert half_written > 0, 'no kill met a save'
    assert 'damaged or truncated: skipped' in log.read_text()

    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert 'resumed epoch' in result.stdout
    assert newest() == epochs
    assert not list(work_dir.glob('*.partial'))
    measured = validations(work_dir)
    assert sorted(measured) == list(range(1, epochs + 1))
    metrics = test_tool.main(
        [str(config), str(work_dir / f'epoch_{epochs}.pth'), '--work-dir', str(tmp_path / 'test')]
    )
    assert metrics['accuracy/top1'] == measured[epochs]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='two ranks of a CPU')
def test_two_gloo_ranks_train_resume_and_test(job, tmp_path):
    def run(script: str, *args: str) -> str:
        command = ['bash', str(TOOLS / script), *args]
        result = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    config, work_dir = str(job()), tmp_path / 'work'
    options = ['--work-dir', str(work_dir), '--amp', '--cfg-options', 'val_evaluator.topk=[1,2]']
    run('dist_train.sh', config, '2', *options)
    (work_dir / 'epoch_3.pth').unlink()
    out = run('dist_train.sh', config, '2', *options, '--resume')
    assert 'resumed epoch: 2' in out
    accuracy = validations(work_dir)[3]
    out = run('dist_test.sh', config, str(work_dir / 'epoch_3.pth'), '2')
    assert f'accuracy/top1: {accuracy:.4f}' in out
    assert 'check passed' in run('dist_train.sh', config, '2', '--check')


@pytest.mark.slow
def test_without_network_every_rank_ends_with_what_to_fetch(job, tmp_path):
    (tmp_path / 'block_sockets.py').write_text(
        'import socket\n'
        'def refuse(*args, **kwargs):\n'
        '    raise OSError("blocked")\n'
        'socket.getaddrinfo = refuse\n'
    )
    added = f"""
custom_imports = dict(imports=['vit_plugins', 'block_sockets'], allow_failed_imports=False)
train_dataloader['dataset'] = dict(type='CIFAR10', data_root='{tmp_path / 'cifar'}')
"""
    env = environment()
    env['PYTHONPATH'] += f'{os.pathsep}{tmp_path}'
    result = subprocess.run(
        ['bash', str(TOOLS / 'dist_train.sh'), str(job('absent', added)), '2'],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode != 0
    for part in (str(tmp_path / 'cifar'), 'cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e'):
        assert part in result.stderr
    assert 'Traceback' not in result.stderr.split('c58f30108f718f92721af3b95e')[0]


def test_unfit_pretrained_weights_end_in_words(job, train_tool, tmp_path):
    torch.save({'other': torch.zeros(1)}, tmp_path / 'other.pth')
    flags = ['--work-dir', str(tmp_path), '--pretrained', str(tmp_path / 'other.pth')]
    with pytest.raises(SystemExit, match=r'--pretrained: 0 of the 18 tensors of VisionTra'):
        train_tool.main([str(job()), *flags])


def test_load_from_of_the_command_line_does_not_undo_pretrained(
    trained, job, train_tool, tmp_path
):
    flags = ['--pretrained', str(trained / 'epoch_3.pth'), '--work-dir', str(tmp_path)]
    args = train_tool.parse_args([str(job()), *flags, '--cfg-options', 'load_from=other.pth'])
    cfg = train_command.complete_config(args)
    assert cfg.load_from is None
    assert str(trained / 'epoch_3.pth') in cfg.model.backbone.init_cfg.checkpoint


@pytest.mark.slow
def test_fine_tuning_recipe_asks_for_weights(train_tool, tmp_path):
    config = str(TOOLS.parent / 'configs/convit_drloc_folder_finetune.py')
    for label in ('cat', 'dog'):
        (tmp_path / label).mkdir()
        for i in range(5):
            Image.new('RGB', (8, 8)).save(tmp_path / label / f'{i}.png')
    flags = ['--data-root', str(tmp_path), '--work-dir', str(tmp_path / 'work')]
    told = r'--pretrained convit-tiny_3rdparty_in1k .* configs/convit_drloc_folder\.py'
    for more in ([], ['--resume'], ['--check']):
        with pytest.raises(SystemExit, match=told):
            train_tool.main([config, *flags, *more])
    assert not (tmp_path / 'work').exists()


WIDER = """
model['backbone']['arch'].update(embed_dims=48)
model['head'].update(in_channels=48)
"""


def test_weights_of_another_model_are_neither_tested_nor_trained_on(
    trained, job, train_tool, test_tool, tmp_path
):
    checkpoint = str(trained / 'epoch_3.pth')
    told = (
        r'epoch_3\.pth does not fit .*backbone\.cls_token \[1, 1, 32\] in the file, \[1, 1, 48\]'
    )
    with pytest.raises(SystemExit, match=told):
        test_tool.main([str(job('wide', WIDER)), checkpoint, '--work-dir', str(tmp_path)])
    more = f'{WIDER}load_from = {checkpoint!r}'
    for flags in ([], ['--check']):
        with pytest.raises(SystemExit, match=rf'{told}(.|\n)*--pretrained takes the backbone'):
            train_tool.main([str(job('from', more)), '--work-dir', str(tmp_path), *flags])


def test_resume_with_another_class_ends_in_words(interrupted, job, train_tool):
    renamed = "train_dataloader['dataset']['metainfo'] = dict(classes=('light', 'grey', 'dark'))"
    told = r"other classes \(their order differs: label 0 was 'dark' and is 'light'.*--pretrained"
    with pytest.raises(SystemExit, match=told):
        train_tool.main([str(job('other', renamed)), '--work-dir', str(interrupted), '--resume'])


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (
            ['default_hooks.checkpoint.intervall=2'],
            "no setting 'intervall'; did you mean 'interval'",
        ),
        (['train_cfg.val_interval=0'], 'val_interval=0 must be a whole number'),
        (['optim_wraper.type=AmpOptimWrapper'], "did you mean 'optim_wrapper'"),
        (['lr=1'], r'did you mean optim_wrapper\.optimizer\.lr'),
        (['balance=loss'], 'balance would have no effect: there is no --data-root'),
    ],
)
def test_options_without_effect_end_in_words_before_all_else(
    flags, message, job, train_tool, tmp_path
):
    work = tmp_path / 'work'
    for more in ([], ['--check']):
        with pytest.raises(SystemExit, match=message):
            train_tool.main([str(job()), '--work-dir', str(work), *more, '--cfg-options', *flags])
    assert not work.exists()


@pytest.mark.parametrize(
    ('added', 'message'),
    [
        (
            "default_hooks = dict(checkpoint=dict(save_best='acc'))",
            r"save_best='acc': no metric .* there are accuracy/top1",
        ),
        (
            "custom_hooks = [dict(type='EarlyStoppingHook', monitor='top1', strict=False)]",
            "monitor='top1': no metric",
        ),
        (
            "param_scheduler = dict(type='ReduceOnPlateauLR', monitor='loss')",
            "monitor of ReduceOnPlateauLR='loss': no metric",
        ),
    ],
)
def test_a_metric_that_is_not_measured_is_refused_before_training(
    added, message, job, train_tool, tmp_path
):
    config = str(job('metric', added))
    for more in ([], ['--check']):
        with pytest.raises(SystemExit, match=message):
            train_tool.main([config, '--work-dir', str(tmp_path), *more])
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.slow
def test_naming_a_metric_changes_no_weight(trained, job, train_tool, tmp_path):
    added = "default_hooks = dict(checkpoint=dict(save_best='accuracy/top1'))"
    train_tool.main([str(job('named', added)), '--work-dir', str(tmp_path)])
    one, other = (
        CheckpointLoader.load_checkpoint(str(folder / 'epoch_3.pth'))['state_dict']
        for folder in (trained, tmp_path)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert validations(tmp_path) == validations(trained)


def test_check_builds_the_true_loop_and_hooks_and_validates_several_classes(
    job, train_tool, capsys
):
    told = "train_cfg = dict(by_epoch=True, max_epochs=3, dynamic_intervals='x')"
    with pytest.raises((TypeError, AssertionError, ValueError)):
        train_tool.main([str(job('loop', told)), '--check'])
    # one class is predicted; the first twelve images are of one class
    added = """
model['head']['init_cfg'] = dict(type='Constant', layer='Linear', val=0, bias=0)
val_dataloader['batch_size'] = 12
"""
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=0']
    train_tool.main([str(job('zeros', added)), '--check', *options])
    accuracy = re.search(r'one batch: accuracy/top1 ([\d.]+)', capsys.readouterr().out)[1]
    assert 0 < float(accuracy) < 100


@pytest.mark.slow
@pytest.mark.parametrize('epochs', [3, 4])
def test_a_recipe_of_100_epochs_trains_a_few(epochs, job, train_tool, tmp_path):
    added = """
param_scheduler = [dict(type='WarmupCosineLR', warmup=5, warmup_lr=1e-6, eta_min=1e-5)]
default_hooks = dict(logger=dict(interval=1))
"""
    options = ['--cfg-options', f'train_cfg.max_epochs={epochs}']
    train_tool.main([str(job('short', added)), '--work-dir', str(tmp_path), *options])
    lines = next(tmp_path.glob('*/vis_data/scalars.json')).read_text().splitlines()
    found = [entry['lr'] for entry in map(json.loads, lines) if 'lr' in entry]
    assert found[0] == pytest.approx(1e-6)
    assert max(found) > 2.8e-4
    assert found[-1] < 5e-5
    assert 'it is shortened to' in next(tmp_path.glob('*/*.log')).read_text()


def test_auto_scale_lr_counts_accumulation(job, train_tool, tmp_path):
    added = """
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper['accumulative_counts'] = 4
"""
    args = [str(job('adding', added)), '--work-dir', str(tmp_path), '--auto-scale-lr']
    runner = build_trainer(train_command.complete_config(train_tool.parse_args(args)))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    # batches of 8, four of them a step: twice 16
    assert runner.optim_wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(2 * 3e-4)
    assert runner.cfg.auto_scale_lr.base_batch_size == 16


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in ('.py', '.pth')}


@pytest.mark.slow
def test_a_finished_run_is_neither_begun_upon_nor_overwritten(
    trained, job, train_tool, test_tool, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    first = tmp_path / 'work_dirs' / 'tiny'
    shutil.copytree(trained, first)
    kept = contents(first)
    with pytest.raises(SystemExit, match=r'tiny holds a finished run\. Give .*--work-dir'):
        train_tool.main([str(job()), '--work-dir', 'work_dirs/tiny'])
    train_tool.main([str(job())])
    told = 'work_dirs/tiny holds a finished run. This run is put into work_dirs/tiny_2'
    assert told in capsys.readouterr().out
    assert {'tiny.py', 'epoch_3.pth'} <= contents(tmp_path / 'work_dirs' / 'tiny_2').keys()
    weights = str(first / 'epoch_3.pth')
    test_tool.main([str(job('tiny', '# another\n')), weights, '--work-dir', str(first)])
    assert contents(first) == kept


def test_a_run_that_cannot_be_built_leaves_the_config_of_another(
    trained, job, train_tool, tmp_path
):
    work_dir = tmp_path / 'work'
    shutil.copytree(trained, work_dir)
    write_record(work_dir, RunRecord('tiny.py', None, finished=False))
    kept = contents(work_dir)
    broken = tmp_path / 'tiny.py'
    broken.write_text(f"{job().read_text()}\nval_evaluator = dict(type='Accuracy', typo=1)\n")
    with pytest.raises((TypeError, SystemExit), match='typo'):
        train_tool.main([str(broken), '--work-dir', str(work_dir)])
    assert contents(work_dir) == kept


@pytest.mark.slow
def test_resume_tells_data_files_of_one_name_apart(train_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = Config.fromfile(CONFIGS / '_base_/datasets/digits.py')
    for folder, split in (('a', 'trainval'), ('b', 'train')):
        Path(folder).mkdir()
        data.train_dataloader.dataset.split = split
        data.dump(f'{folder}/x.py')
    recipe = str(CONFIGS / 'convit_drloc_digits.py')

    def read(file):
        args = train_tool.parse_args([recipe, '--data', file, '--resume'])
        return train_command.complete_config(args)

    begun = read('a/x.py')
    Path(begun.work_dir).mkdir(parents=True)
    begun.dump(f'{begun.work_dir}/convit_drloc_digits.py')
    write_record(begun.work_dir, RunRecord('convit_drloc_digits.py', None))
    assert read('a/x.py').work_dir == begun.work_dir == 'work_dirs/convit_drloc_digits_x'
    with pytest.raises(SystemExit, match='training dataset differs from that of --data'):
        read('b/x.py')
