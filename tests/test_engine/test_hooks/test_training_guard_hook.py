"""A training that cannot succeed ends soon, with a message, and damages nothing."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from vit_plugins.datasets.unfit_data import UnfitDataError
from vit_plugins.engine.hooks.training_guard_hook import NoStepError, require_steps
from vit_plugins.evaluation.functional.finite import non_finite_weights
from vit_plugins.structures.data_sample_batch import DataSampleBatch

NAN = float('nan')


def build(**arguments):
    return HOOKS.build(dict(type='TrainingGuardHook', **arguments))


def run(hook, losses):
    """Call the hook with losses like a training; steps count from 1 and name the files."""
    rates = [0.1, 0.3]
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(get_lr=lambda: {'lr': rates}))
    for step, loss in enumerate(losses):
        batch = dict(data_samples=[DataSample(metainfo=dict(img_path=f'{step + 1}.png'))])
        outputs = dict(loss=torch.tensor(loss), accuracy=torch.tensor(NAN))
        rates[:] = 0.1, 0.3
        runner.iter = step
        hook.before_train_iter(runner, 0, batch)
        rates[:] = 7, 8  # of the next step: the host's schedules are asked before this hook
        hook.after_train_iter(runner, 0, batch, outputs)
    hook.after_train_epoch(SimpleNamespace(iter=len(losses), model=torch.nn.Linear(1, 1)))


@pytest.mark.parametrize('interval', [1, 2, 10, 100])
def test_losses_in_a_row_end_the_training(interval):
    words = (
        r'not finite in 3 steps in a row; the first was step 5, whose learning rate was 0\.3 and '
        r'whose batch was 5\.png\. Lower the learning rate'
    )
    with pytest.raises(FloatingPointError, match=words):
        run(build(patience=3, interval=interval), [1, NAN, NAN, 2, NAN, float('inf'), NAN, 1])


@pytest.mark.parametrize('losses', [[NAN, NAN, 1, NAN, NAN], [1.0] * 30, []])
def test_a_few_losses_do_not(losses):
    run(build(patience=3, interval=2), losses)


def test_losses_are_read_together():
    """Each reading of a loss waits for the GPU."""
    hook, seen = build(interval=4), []
    hook._look = lambda: seen.append(len(hook._unread)) or hook._unread.clear()
    run(hook, [1.0] * 10)
    assert seen == [4, 4, 2]


def test_names_of_files_are_kept_and_no_samples():
    fields = dict(gt_score=torch.zeros(2, 4))
    columns = DataSampleBatch(fields, dict(img_path=['a.png', None], sample_idx=[0, 1]), 2)
    no_path = DataSampleBatch({}, dict(sample_idx=[4, 5]), 2)
    hook = build()
    hook._learning_rate = 0.1
    for batch in (columns, list(columns), no_path):
        runner = SimpleNamespace(iter=0)
        hook.after_train_iter(runner, 0, dict(data_samples=batch), dict(loss=torch.ones(())))
    names = [['a.png', 'sample 1']] * 2 + [['sample 4', 'sample 5']]
    assert [step.files for step in hook._unread] == names


@pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
def test_both_kinds_of_weights_of_a_checkpoint_are_read(part):
    checkpoint = dict(state_dict=dict(a=torch.zeros(1)), ema_state_dict=dict(a=torch.zeros(1)))
    checkpoint['meta'] = dict(iter=3)
    runner = SimpleNamespace(_load_from=None)  # the host's --resume finds the file itself
    build().after_load_checkpoint(runner, checkpoint)
    checkpoint[part]['a'][0] = NAN
    with pytest.raises(FloatingPointError, match=r'^the checkpoint holds weights .* \(a\)'):
        build().after_load_checkpoint(runner, checkpoint)
    with pytest.raises(FloatingPointError, match=r'not finite after step 3 \(a\)'):
        build().before_save_checkpoint(runner, checkpoint)


@pytest.mark.parametrize('name', ['patience', 'interval'])
def test_refuses(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got 0'):
        build(**{name: 0})


EMA = dict(custom_hooks=[dict(type='EMAHook', momentum=0.1)])


@pytest.mark.parametrize('changes', [{}, EMA, dict(by_iter=True)], ids=['', 'EMA', 'steps'])
def test_diverged_weights_replace_none_that_are_finite(toy, tmp_path, changes):
    config = toy.settings(tmp_path, **changes)
    newest, content = toy.train(config, interrupt=8)
    files = sorted(tmp_path.glob('*.pth'))
    # it goes on with a learning rate that no weight survives
    for group in content['optimizer']['param_groups']:
        group['lr'] = 1e38
    del content['param_schedulers']
    config['param_scheduler'] = None
    start = tmp_path / 'elsewhere' / 'start.pth'
    start.parent.mkdir()
    torch.save(content, start)
    config['default_hooks']['training_guard'] = dict(type='TrainingGuardHook', patience=100)
    with pytest.raises(
        FloatingPointError, match=r'weights are not finite after step \d+ \(.*saved'
    ):
        toy.train(config, resume=str(start))
    assert sorted(tmp_path.glob('*.pth')) == files
    assert not non_finite_weights(CheckpointLoader.load_checkpoint(newest)['state_dict'])


def test_weights_that_are_not_finite_are_not_loaded(toy, tmp_path):
    config = toy.settings(tmp_path)
    newest, content = toy.train(config, interrupt=5)
    config['default_hooks']['training_guard'] = dict(type='TrainingGuardHook')
    content['state_dict']['head.cls_head.layers.head.weight'][0, 0] = NAN
    torch.save(content, newest)
    with pytest.raises(FloatingPointError, match=r'epoch_1\.pth holds .*layers\.head\.weight'):
        toy.train(config, resume=newest)


def test_scores_that_are_not_finite_end_a_test():
    samples = [
        DataSample(metainfo=dict(img_path=f'{i}.png')).set_pred_score(torch.rand(3))
        for i in range(3)
    ]
    hook = build()
    hook.after_test_iter(None, 0, outputs=samples)
    samples[1].pred_score[2] = NAN
    with pytest.raises(FloatingPointError, match=r'the pred_score of 1\.png is not finite'):
        hook.after_test_iter(None, 0, outputs=samples)


def loader(images, batch_size, drop_last=True, sampler=None):
    return DataLoader(torch.zeros(images), batch_size, drop_last=drop_last, sampler=sampler)


def test_no_batch_is_refused():
    words = (
        r'50 training images on 1 rank\(s\) are 50 for each, which do not fill one batch of 64, '
        r'and drop_last .* Set train_dataloader\.batch_size=12 or train_dataloader\.drop_last=F'
    )
    with pytest.raises(NoStepError, match=words):
        require_steps(loader(50, 64))
    require_steps(loader(64, 64))
    require_steps(loader(50, 64, drop_last=False))
    # its batches reach from one epoch into the next
    require_steps(loader(50, 64, sampler=InfiniteSampler(range(50))))


def test_no_batch_ends_a_training_of_other_tools(toy, tmp_path):
    config = toy.settings(tmp_path)
    config['train_dataloader'] |= dict(batch_size=64, drop_last=True)
    config['default_hooks']['training_guard'] = dict(type='TrainingGuardHook')
    with pytest.raises(NoStepError, match='21 training images'):
        Runner.from_cfg(config).train()
    assert not list(Path(tmp_path).glob('*.pth'))


class Picky:
    """A metric or module that refuses its images."""

    def check_dataset(self, dataset):
        raise UnfitDataError(f'not these {len(dataset)}')


@pytest.mark.parametrize('part', ['model', 'val', 'test', 'none'])
def test_metrics_and_modules_are_asked_before_the_run(part):
    def loop(name):
        metrics = [object(), *([Picky()] if name == part else [])]
        evaluator = SimpleNamespace(metrics=metrics)
        return SimpleNamespace(dataloader=loader(8, 2), evaluator=evaluator)

    modules = [torch.nn.Linear(1, 1), *([Picky()] if part == 'model' else [])]
    runner = SimpleNamespace(
        model=SimpleNamespace(modules=lambda: iter(modules)),
        **{f'{name}_loop': loop(name) for name in ('train', 'val', 'test')},
    )
    expected = contextlib.nullcontext()
    if part != 'none':
        expected = pytest.raises(UnfitDataError, match='not these 8')
    with expected:
        build().before_test(runner) if part == 'test' else build().before_train(runner)
    runner.val_loop = None
    if part == 'val':
        build().before_train(runner)
