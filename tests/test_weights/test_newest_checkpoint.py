"""The choice of a checkpoint."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from vit_plugins.weights import newest_checkpoint


def save(path: Path, age: int, content: dict | None = None, cut: int = 0) -> Path:
    torch.save(content or {'state_dict': {'weight': torch.zeros(100)}}, path)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


@pytest.fixture
def said(logged_by) -> list[str]:
    return logged_by(newest_checkpoint)


def test_newest_is_the_one_of_most_steps_whatever_its_date(tmp_path):
    save(tmp_path / 'epoch_9.pth', age=0)
    expected = save(tmp_path / 'epoch_10.pth', age=50)
    save(tmp_path / 'best_accuracy_top1_epoch_30.pth', age=0)  # has no optimiser
    (tmp_path / 'last_checkpoint').write_text('/nowhere/epoch_70.pth')
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == expected


def test_steps_and_epochs_are_compared_by_the_steps_in_the_files(tmp_path):
    def content(steps):
        return {'state_dict': {}, 'meta': {'iter': steps}}

    epoch = save(tmp_path / 'epoch_2.pth', 0, content(200))
    step = save(tmp_path / 'iter_250.pth', 0, content(250))
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == step
    step.unlink()
    save(tmp_path / 'iter_200.pth', 0, content(200))
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == epoch


def test_odd_files_are_skipped(tmp_path, said):
    expected = save(tmp_path / 'epoch_1.pth', age=9)
    (tmp_path / 'epoch_7.pth').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'epoch_6.pth').mkdir()
    (tmp_path / 'epoch_5.pth').write_bytes(b'')
    (tmp_path / 'epoch_4.pth').symlink_to('epoch_4.pth')
    strange = bytearray(expected.read_bytes())
    strange[-22:-18] = b'\xff' * 4  # the end of the archive's table
    (tmp_path / 'epoch_3.pth').write_bytes(strange)
    flipped = bytearray(expected.read_bytes())
    flipped[expected.read_bytes().index(bytes(100)) + 9] ^= 1  # in the weights
    (tmp_path / 'epoch_2.pth').write_bytes(flipped)
    (tmp_path / 'epoch_99999999999999999999999.pth').touch()
    (tmp_path / 'best_a_epoch_1.pth').mkdir()
    (tmp_path / 'config.py').touch()
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == expected
    names = [Path(text.split()[0]).name for text in said]
    assert names == [f'epoch_{i}.pth' for i in range(7, 1, -1)]
    assert newest_checkpoint.find_trained(tmp_path)[1] == expected


@pytest.mark.parametrize('cut', [1, 700, 10**6])
def test_truncated_files_are_skipped_and_named(tmp_path, said, cut):
    expected = save(tmp_path / 'epoch_1.pth', age=9)
    damaged = save(tmp_path / 'epoch_2.pth', age=1, cut=cut)
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == expected
    assert said == [f'{damaged} is damaged or truncated: skipped']


@pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
def test_weights_that_are_not_finite_are_skipped(tmp_path, said, part):
    expected = save(tmp_path / 'epoch_1.pth', age=9)
    content = {'state_dict': {}, part: {'weight': torch.tensor([float('nan')])}}
    diverged = save(tmp_path / 'epoch_2.pth', age=1, content=content)
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path) == expected
    assert said == [f'{diverged} holds weights that are not finite (such as weight): skipped']


def test_an_absent_folder_holds_none(tmp_path):
    assert newest_checkpoint.newest_whole_checkpoint(tmp_path / 'absent') is None


def test_resume_from_a_named_file(tmp_path):
    path = str(save(tmp_path / 'a.pth', age=0))
    cfg = newest_checkpoint.resume_from(Config(dict(work_dir='w')), path)
    assert (cfg.resume, cfg.load_from) == (True, path)
    with pytest.raises(FileNotFoundError, match=r'--resume b\.pth: there is no such file'):
        newest_checkpoint.resume_from(cfg, 'b.pth')


def test_find_trained_prefers_the_best(tmp_path):
    (tmp_path / 'config.py').touch()
    newest = save(tmp_path / 'epoch_2.pth', age=0)
    assert newest_checkpoint.find_trained(tmp_path) == (tmp_path / 'config.py', newest)
    best = save(tmp_path / 'best_accuracy_top1_epoch_1.pth', age=5)
    assert newest_checkpoint.find_trained(tmp_path) == (tmp_path / 'config.py', best)


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ([], 'holds 0 configs'),
        (['a.py', 'b.py'], 'holds 2 configs'),
        (['a.py'], 'holds no whole checkpoint'),
    ],
)
def test_find_trained_says_what_lacks(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=message):
        newest_checkpoint.find_trained(tmp_path)


def test_trained_classes(tmp_path):
    meta = dict(dataset_meta=dict(classes=('cat', 'dog')))
    named = save(tmp_path / 'a.pth', 0, dict(meta=meta, state_dict={}))
    assert newest_checkpoint.trained_classes(str(named)) == ('cat', 'dog')
    assert newest_checkpoint.trained_classes(str(save(tmp_path / 'b.pth', 0))) is None


def test_find_trained_looks_only_for_what_is_not_known(tmp_path):
    for name in ('a.py', 'b.py'):
        (tmp_path / name).touch()
    newest = save(tmp_path / 'epoch_2.pth', age=1)
    known = tmp_path / 'a.py'
    assert newest_checkpoint.find_trained(tmp_path, known) == (known, newest)
    newest.unlink()
    assert newest_checkpoint.find_trained(tmp_path, known, newest) == (known, newest)
    with pytest.raises(FileNotFoundError, match='holds no whole checkpoint'):
        newest_checkpoint.find_trained(tmp_path, known)
