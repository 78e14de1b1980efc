"""A run locks its folder: no file of another run is lost, whichever run starts or fails."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from vit_plugins.engine import work_folder
from vit_plugins.engine.work_folder import (
    LOCK,
    WorkFolderError,
    claimed_work_dir,
    folder_to_resume,
    planned_classes,
)
from vit_plugins.fileio import file_lock, run_record
from vit_plugins.fileio.run_record import RunRecord, read_record, write_record

PETS = ['cat', 'dog']


def leave(folder: Path, classes=PETS, finished=False, weights=True) -> Path:
    """Write the files of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, RunRecord('job.py', classes, finished))
    if weights:
        (folder / 'epoch_1.pth').write_bytes(b'weights')
    return folder


def config(folder, classes=PETS, **more) -> Config:
    dataset = dict(type='ImageFolder', pipeline=[], metainfo=dict(classes=tuple(classes)))
    return Config(dict(work_dir=str(folder), train_dataloader=dict(dataset=dataset), **more))


def claim(cfg: Config, numbered: bool = False) -> str:
    with claimed_work_dir(cfg, numbered):
        return cfg.work_dir


@pytest.fixture
def said(monkeypatch) -> list[str]:
    texts = []
    for module in (work_folder, file_lock):
        monkeypatch.setattr(module, 'print_log', lambda text, *_, **__: texts.append(text))
    return texts


@pytest.fixture
def living(tmp_path):
    """Start a process that locks the folder ``w``."""
    code = (
        'import sys, time; from mmengine.config import Config\n'
        'from vit_plugins.engine.work_folder import claimed_work_dir\n'
        'with claimed_work_dir(Config(dict(work_dir=sys.argv[1]))):\n'
        '    print("held", flush=True); time.sleep(60)'
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'w')],
        env={**os.environ, 'PYTHONPATH': root},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert 'held' in process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_a_finished_run_is_never_begun_upon(tmp_path):
    leave(tmp_path, finished=True)
    with pytest.raises(WorkFolderError, match=r'holds a finished run\. Give .* --work-dir'):
        claim(config(tmp_path))
    assert claim(config(tmp_path, resume=True)) == str(tmp_path)
    assert claim(config(tmp_path, resume=True, load_from=str(tmp_path / 'epoch_1.pth')))


def test_going_on_from_a_file_of_elsewhere_begins_a_run_here(tmp_path):
    leave(tmp_path / 'w', finished=True)
    with pytest.raises(WorkFolderError, match='holds a finished run'):
        claim(config(tmp_path / 'w', resume=True, load_from=str(tmp_path / 'other.pth')))


def test_other_classes_are_refused_by_name(tmp_path):
    leave(tmp_path)
    with pytest.raises(WorkFolderError, match=r"on other classes \(new: 'ant'; gone: 'dog'\)"):
        claim(config(tmp_path, ['ant', 'cat']))


def test_checkpoints_of_unknown_origin_are_kept(tmp_path):
    (tmp_path / 'best_acc.pth').touch()  # of the host's tools, or of an older version
    with pytest.raises(WorkFolderError, match=r'checkpoints of another run, such as best_acc'):
        claim(config(tmp_path))


def test_what_did_not_come_to_its_end_is_begun_anew_where_the_folder_was_named(tmp_path, said):
    leave(tmp_path)
    assert claim(config(tmp_path)) == str(tmp_path)
    assert len(said) == 1
    assert '--resume would have gone on with them' in said[0]
    assert not list(tmp_path.glob('*.pth'))
    assert list(tmp_path.glob('earlier_runs/1/*.pth'))


@pytest.mark.parametrize(
    ('start', 'moved'),
    [
        ('epoch_2.pth', ['best_x_epoch_3.pth', 'epoch_3.pth', 'iter_9.pth']),
        ('best_x_epoch_3.pth', ['iter_9.pth']),
        ('iter_9.pth', []),
    ],
)
def test_going_back_to_an_earlier_checkpoint_moves_the_later_ones_away(
    tmp_path, said, start, moved
):
    """Else the next --resume would take up the training that was given up."""
    leave(tmp_path, weights=False)
    steps = dict(epoch_2=4, epoch_3=6, best_x_epoch_3=6, iter_9=9)
    for name, number in steps.items():
        content = dict(meta=dict(iter=number), state_dict=dict(w=torch.ones(1)))
        torch.save(content, tmp_path / f'{name}.pth')
    (tmp_path / 'epoch_4.pth').write_bytes(b'damaged')
    work_folder.set_aside_later(str(tmp_path), tmp_path / start)
    assert sorted(path.name for path in tmp_path.glob('earlier_runs/1/*')) == moved
    assert len(list(tmp_path.glob('*.pth'))) == 5 - len(moved)
    assert all(name in ''.join(said) for name in moved)


def test_a_run_that_saved_nothing_gives_its_folder_free(tmp_path, said):
    leave(tmp_path, ['ant'], finished=True, weights=False)
    assert claim(config(tmp_path), numbered=True) == str(tmp_path)
    assert not said


@pytest.mark.parametrize(
    ('left', 'told'),
    [
        (dict(finished=True), 'holds a finished run'),
        (dict(classes=['ant']), "on other classes .new: 'cat', 'dog'; gone: 'ant'."),
        (dict(), r'did not come to its end \(--resume goes on with it\)'),
    ],
)
def test_the_default_folder_gets_a_number_instead(tmp_path, said, left, told):
    first = leave(tmp_path / 'w', **left)
    leave(tmp_path / 'w_2', finished=True)
    assert claim(config(first), numbered=True) == f'{first}_3'
    assert len(said) == 1
    assert said[0].startswith(f'{first} holds')
    assert said[0].endswith(f'put into {first}_3')
    assert re.search(told, said[0])


@pytest.mark.slow
def test_a_living_run_is_left_alone_until_its_process_ends(tmp_path, living, said):
    folder = tmp_path / 'w'
    pid = living.pid
    for more in ({}, {'resume': True}):
        with pytest.raises(WorkFolderError, match=f'another run trains there now .process {pid}'):
            claim(config(folder, **more))
    assert claim(config(folder), numbered=True) == f'{folder}_2'
    living.kill()
    living.wait()
    assert claim(config(folder)) == str(folder)  # no clean-up was needed


@pytest.mark.slow
def test_the_folder_is_free_when_the_run_ends_in_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed_work_dir(config(tmp_path)):
        1 / 0  # noqa: B018
    code = (
        'import sys; from mmengine.config import Config\n'
        'from vit_plugins.engine.work_folder import _lock\n'
        'sys.exit(_lock(sys.argv[1]) is None)'
    )
    root = str(Path(__file__).parents[2])
    env = {**os.environ, 'PYTHONPATH': root}
    assert subprocess.run([sys.executable, '-c', code, str(tmp_path)], env=env).returncode == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(WorkFolderError, match=r'file/w cannot be written to \(Not a directory\)'):
        claim(config(tmp_path / 'file' / 'w'))


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, said):
    def refuse(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(file_lock.fcntl, 'lockf', refuse)
    assert claim(config(tmp_path)) == str(tmp_path)
    assert said == [f'{tmp_path} cannot be locked (No locks available): start no other run there']


def test_resume_finds_the_run_of_the_same_classes_that_began_last(tmp_path):
    first = str(tmp_path / 'w')
    assert folder_to_resume(first, 'auto', PETS) == first
    for age, name, classes in ((3, 'w', PETS), (2, 'w_2', ['ant']), (1, 'w_3', PETS)):
        record = leave(tmp_path / name, classes) / run_record.RECORD
        os.utime(record, (time.time() - age,) * 2)
    assert folder_to_resume(first, 'auto', PETS) == f'{first}_3'
    assert folder_to_resume(first, 'auto', ['ant']) == f'{first}_2'
    assert folder_to_resume(first, 'auto', None) == f'{first}_3'
    assert folder_to_resume(first, 'auto', ['bee']) == first
    assert folder_to_resume(first, f'{first}_2/epoch_1.pth', PETS) == f'{first}_2'
    assert folder_to_resume(first, f'{tmp_path}/else/epoch_1.pth', PETS) == first


def test_resume_goes_on_with_no_run_of_another_dataset(tmp_path):
    first = str(tmp_path / 'x')
    data = [dict(type='ImageFolder', data_root=root, pipeline=[]) for root in ('a', 'b', 'c')]
    for folder, dataset in zip((first, f'{first}_2'), data, strict=False):
        leave(Path(folder))
        name = read_record(folder).config
        Config(dict(train_dataloader=dict(dataset=dataset))).dump(Path(folder, name))
    assert folder_to_resume(first, 'auto', PETS, data[0]) == first
    assert folder_to_resume(first, 'auto', PETS, data[1]) == f'{first}_2'
    with pytest.raises(WorkFolderError, match=r'training dataset differs .* --work-dir .*x$'):
        folder_to_resume(first, 'auto', PETS, data[2])


def test_classes_are_found_below_wrappers(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=cfg.train_dataloader.dataset)
    assert planned_classes(cfg) == PETS
    assert planned_classes(Config({})) is None
    cfg.train_dataloader.dataset.dataset.metainfo.classes = 'names.txt'
    assert planned_classes(cfg) is None


@pytest.mark.parametrize('text', ['', '[]', '{"classes": null}', 'not json'])
def test_a_damaged_record_is_none(tmp_path, text):
    (tmp_path / run_record.RECORD).write_text(text)
    assert read_record(tmp_path) is None


def test_the_lock_says_who_holds_it(tmp_path):
    claim(config(tmp_path))
    assert (tmp_path / LOCK).read_text().startswith(f'process {os.getpid()} on ')
