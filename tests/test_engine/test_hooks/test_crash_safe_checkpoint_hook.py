"""The part of the hook that a short job does not reach; tests of the tools cover the rest."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub, MMLogger

from vit_plugins.engine.hooks import CrashSafeCheckpointHook, crash_safe_checkpoint_hook
from vit_plugins.fileio.atomic_backend import partial_suffix


@pytest.mark.parametrize('number', [0, 1])
def test_one_checkpoint_is_not_enough(number):
    with pytest.raises(ValueError, match='leaves no whole checkpoint'):
        CrashSafeCheckpointHook(max_keep_ckpts=number)


def test_the_backend_is_the_atomic_one_unless_told():
    assert CrashSafeCheckpointHook().backend_args == dict(backend='atomic')
    other = dict(backend='local')
    assert CrashSafeCheckpointHook(backend_args=other).backend_args == other


@pytest.fixture
def runner(tmp_path):
    """Return the part of a runner that the hook reads; checkpoints are empty files."""
    written = []

    def save_checkpoint(out_dir, filename, *args, **kwargs):
        written.append((filename, sorted(path.name for path in tmp_path.glob('best_*'))))
        (tmp_path / filename).write_bytes(b'whole')

    validations = []
    return SimpleNamespace(
        work_dir=str(tmp_path), epoch=1, iter=4, save_checkpoint=save_checkpoint, written=written,
        logger=MMLogger.get_current_instance(), message_hub=MessageHub(str(tmp_path)),
        train_loop=SimpleNamespace(
            epoch=0, max_epochs=3, iter=0, max_iters=12, val_begin=1, val_interval=1),
        val_loop=SimpleNamespace(run=lambda: validations.append(1)), validations=validations,
        _resume=False, _load_from=None,
    )  # fmt: skip


def best(runner):
    return sorted(path.name for path in Path(runner.work_dir).glob('best_*'))


def test_the_previous_best_stays_until_the_new_one_is_there(runner):
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    for runner.epoch, accuracy in ((1, 50.0), (2, 40.0), (3, 60.0), (4, 55.0)):
        hook.after_val_epoch(runner, {'accuracy/top1': accuracy})

    first, third = (f'best_accuracy_top1_epoch_{n}.pth' for n in (1, 3))
    assert runner.written == [(first, []), (third, [first])]
    assert best(runner) == [third]
    assert hook.best_ckpt_path == str(Path(runner.work_dir) / third)
    assert runner.message_hub.get_info('step_validated') == 4


def test_a_better_score_of_the_same_step_stays(runner):
    """A resumed run validates its checkpoint again."""
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    for accuracy in (50.0, 60.0):
        hook.after_val_epoch(runner, {'accuracy/top1': accuracy})
    assert best(runner) == ['best_accuracy_top1_epoch_1.pth']


def test_a_best_file_that_someone_removed_is_not_missed(runner):
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    (Path(runner.work_dir) / 'best_accuracy_top1_epoch_1.pth').unlink()
    runner.epoch = 2
    hook.after_val_epoch(runner, {'accuracy/top1': 60.0})
    assert best(runner) == ['best_accuracy_top1_epoch_2.pth']


def went_on(runner, folder, save_best='accuracy/top1'):
    """Return the hook of a run that goes on in another folder with what its hub remembers."""
    folder.mkdir(exist_ok=True)
    runner.work_dir = str(folder)
    runner.save_checkpoint = lambda out_dir, filename, *args, **kwargs: (
        folder / filename
    ).write_bytes(b'later')
    hook = CrashSafeCheckpointHook(save_best=save_best)
    hook.before_train(runner)
    return hook


@pytest.mark.parametrize('save_best', ['accuracy/top1', ['accuracy/top1', 'loss']])
def test_a_run_that_goes_on_elsewhere_leaves_the_best_of_its_first_folder(
    runner, tmp_path, save_best
):
    hook = CrashSafeCheckpointHook(save_best=save_best)
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0, 'loss': 1.0})
    first = best(runner)
    hook = went_on(runner, tmp_path / 'copy', save_best)
    assert best(runner) == first
    runner.epoch = 2
    hook.after_val_epoch(runner, {'accuracy/top1': 60.0, 'loss': 2.0})
    assert 'best_accuracy_top1_epoch_2.pth' in best(runner)
    assert len(best(runner)) == len(first)
    assert sorted(path.name for path in tmp_path.glob('best_*')) == first


def test_the_best_of_a_moved_run_is_found_and_replaced(runner, tmp_path):
    runner.work_dir = str(tmp_path / 'before')
    hook = went_on(runner, tmp_path / 'before')
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    (tmp_path / 'before').rename(tmp_path / 'after')
    hook = went_on(runner, tmp_path / 'after')
    assert hook.best_ckpt_path == str(tmp_path / 'after' / best(runner)[0])
    runner.epoch = 2
    hook.after_val_epoch(runner, {'accuracy/top1': 60.0})
    assert best(runner) == ['best_accuracy_top1_epoch_2.pth']


def test_a_moved_run_that_goes_on_elsewhere_takes_its_best_along(runner, tmp_path):
    runner.work_dir = str(tmp_path / 'before')
    hook = went_on(runner, tmp_path / 'before')
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    first = best(runner)
    (tmp_path / 'before').rename(tmp_path / 'moved')
    runner._resume, runner._load_from = True, str(tmp_path / 'moved' / 'epoch_1.pth')
    hook = went_on(runner, tmp_path / 'elsewhere')
    assert hook.best_ckpt_path == str(tmp_path / 'elsewhere' / first[0])
    assert best(runner) == first
    assert (tmp_path / 'moved' / first[0]).is_file()
    runner.epoch = 2
    hook.after_val_epoch(runner, {'accuracy/top1': 40.0})
    assert best(runner) == first


def test_going_back_moves_later_checkpoints_away_first(runner, tmp_path, monkeypatch):
    """Before the best is looked for; a run from weights alone (load_from) goes back to nothing."""
    moved = []
    monkeypatch.setattr(crash_safe_checkpoint_hook, 'set_aside_later', lambda *a: moved.append(a))
    runner._load_from = str(tmp_path / 'epoch_1.pth')
    CrashSafeCheckpointHook().before_train(runner)
    assert moved == []
    runner._resume = True
    CrashSafeCheckpointHook().before_train(runner)
    assert moved == [(str(tmp_path), tmp_path / 'epoch_1.pth')]


@pytest.mark.parametrize(('done', 'kept'), [(1, ['best_accuracy_top1_epoch_2.pth']), (3, [])])
def test_a_best_that_is_gone_gives_way_to_the_next_one(runner, done, kept):
    """At its end a run validates no more, and still reports its best."""
    hub = runner.message_hub
    hub.update_info('best_ckpt', 'gone/best_accuracy_top1_epoch_1.pth')
    hub.update_info('best_score', 90.0)
    hub.update_info('best_confusion', dict(score=90.0))
    hub.update_info('step_validated', done)
    runner.train_loop.epoch = done
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    assert (hub.get_info('best_confusion') is None) == bool(kept)
    runner.epoch = 2
    hook.after_val_epoch(runner, {'accuracy/top1': 60.0})
    assert best(runner) == kept


@pytest.mark.parametrize(('gone', 'kept'), [('loss', True), ('accuracy/top1', False)])
def test_of_several_best_only_that_of_the_accuracy_takes_its_table_along(runner, gone, kept):
    hub = runner.message_hub
    for key in ('accuracy/top1', 'loss'):
        name = f'best_{key.replace("/", "_")}_epoch_1.pth'
        hub.update_info(f'best_ckpt_{key}', f'gone/{name}')
        if key != gone:
            Path(runner.work_dir, name).touch()
    hub.update_info('best_confusion', dict(score=90.0))
    CrashSafeCheckpointHook(save_best=['accuracy/top1', 'loss']).before_train(runner)
    assert (hub.get_info('best_confusion') is not None) == kept


def test_without_save_best_only_the_step_is_noted(runner):
    hook = CrashSafeCheckpointHook()
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    assert runner.written == []
    assert runner.message_hub.get_info('step_validated') == 1


def test_several_metrics_have_a_best_each(runner):
    hook = CrashSafeCheckpointHook(save_best=['accuracy/top1', 'loss'])
    hook.before_train(runner)
    for runner.epoch, accuracy, loss in ((1, 50.0, 3.0), (2, 40.0, 1.0), (3, 60.0, 2.0)):
        hook.after_val_epoch(runner, {'accuracy/top1': accuracy, 'loss': loss})
    assert best(runner) == ['best_accuracy_top1_epoch_3.pth', 'best_loss_epoch_2.pth']
    assert runner.message_hub.get_info('step_validated') == 3


def test_iterations_are_the_steps_where_the_hook_counts_them(runner):
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1', by_epoch=False)
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'accuracy/top1': 50.0})
    assert best(runner) == ['best_accuracy_top1_iter_4.pth']
    assert runner.message_hub.get_info('step_validated') == 4


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize(
    ('done', 'end', 'begin', 'interval', 'validated', 'expected'),
    [
        (0, 10, 1, 1, None, False),  # a fresh start
        (0, 10, 0, 1, None, False),
        (3, 10, 1, 1, None, True),
        (3, 10, 1, 1, 2, True),
        (3, 10, 1, 1, 3, False),
        (2, 10, 3, 1, None, False),
        (3, 10, 3, 1, None, True),
        (3, 10, 1, 2, 2, False),
        (4, 10, 1, 2, 2, True),
        (9, 9, 1, 2, 8, True),  # the last step, whatever the interval
        (9, 9, 10, 1, None, False),
    ],
)
def test_what_was_saved_but_not_validated_is_validated_first(
    runner, by_epoch, done, end, begin, interval, validated, expected
):
    count, limit = ('epoch', 'max_epochs') if by_epoch else ('iter', 'max_iters')
    loop = runner.train_loop
    # What the other count says is wrong.
    loop.epoch, loop.max_epochs, loop.iter, loop.max_iters = (0 if expected else 20, 20) * 2
    setattr(loop, count, done)
    setattr(loop, limit, end)
    loop.val_begin, loop.val_interval = begin, interval
    runner.message_hub.update_info('last_ckpt', 'the last one')
    if validated is not None:
        runner.message_hub.update_info('step_validated', validated)
    hook = CrashSafeCheckpointHook(by_epoch=by_epoch)
    hook.before_train(runner)
    assert len(runner.validations) == expected
    assert hook.last_ckpt == ('the last one' if expected else None)


def test_without_validation_none_is_made_up(runner):
    runner.val_loop, runner.train_loop.epoch = None, 3
    CrashSafeCheckpointHook().before_train(runner)
    assert runner.validations == []


def dead():
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    return ended.pid


def partial_of(process):
    return partial_suffix()[1:].replace(f'.{os.getpid()}.', f'.{process}.')


@pytest.mark.parametrize('is_main', [True, False])
def test_one_rank_clears_up(runner, tmp_path, monkeypatch, is_main):
    monkeypatch.setattr(crash_safe_checkpoint_hook, 'is_main_process', lambda: is_main)
    left = f'epoch_2.pth.{partial_of(dead())}'
    names = ['epoch_1.pth', left, 'notes.partial']
    for name in names:
        (tmp_path / name).touch()
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == (['epoch_1.pth', 'notes.partial'] if is_main else names)
    for runner.epoch in (1, 2):
        hook.after_val_epoch(runner, {'accuracy/top1': runner.epoch})
    assert len(best(runner)) == (1 if is_main else 2)


def test_half_written_files_are_looked_for_where_checkpoints_go(runner, tmp_path):
    out = tmp_path / 'elsewhere' / tmp_path.name
    out.mkdir(parents=True)
    (out / f'epoch_2.pth.{partial_of(dead())}').touch()
    CrashSafeCheckpointHook(out_dir=str(tmp_path / 'elsewhere')).before_train(runner)
    assert list(out.iterdir()) == []
