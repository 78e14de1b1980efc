"""Files appear complete, without remaining temporary files, which no two processes share."""

import errno
import os
import shutil
from types import SimpleNamespace

import pytest

from vit_plugins.fileio import atomic_backend
from vit_plugins.fileio.atomic_backend import (
    AtomicLocalBackend,
    FullDiskError,
    abandoned_files,
    partial_suffix,
)


@pytest.fixture
def put():
    return AtomicLocalBackend().put


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_a_stop_leaves_the_old_file_and_no_part(put, tmp_path, monkeypatch, call):
    path = tmp_path / 'new' / 'epoch_1.pth'
    put(b'first', path)
    assert os.listdir(path.parent) == ['epoch_1.pth']

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, call, stop)
        with pytest.raises(KeyboardInterrupt):
            put(b'second', path)
    assert os.listdir(path.parent) == ['epoch_1.pth']
    assert path.read_bytes() == b'first'
    put(b'third', path)
    assert path.read_bytes() == b'third'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(put, tmp_path, monkeypatch, number):
    put(b'first', tmp_path / 'epoch_1.pth')

    def full(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', full)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=3_200_000))
    said = r'epoch_2\.pth cannot be saved: it needs 7\.0 MB, and 3\.2 MB are free .*--resume'
    with pytest.raises(FullDiskError, match=said) as found:
        put(bytes(7_000_000), tmp_path / 'epoch_2.pth')
    assert found.value.errno == number
    assert os.listdir(tmp_path) == ['epoch_1.pth']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no such device')
def test_a_disk_that_is_full_while_it_is_written_to(put, tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_backend.Path, 'open', lambda *_: open('/dev/full', 'wb'))  # noqa: SIM115
    with pytest.raises(FullDiskError, match='No space left'):
        put(bytes(10**6), tmp_path / 'epoch_2.pth')
    assert os.listdir(tmp_path) == []


def test_the_name_in_the_folder_is_forced_to_the_disk_too(put, tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(number):
        synced.append(os.readlink(f'/proc/self/fd/{number}'))
        fsync(number)

    monkeypatch.setattr(os, 'fsync', noted)
    put(b'x', tmp_path / 'epoch_1.pth')
    assert len(synced) == 2
    assert synced[0].startswith(str(tmp_path / 'epoch_1.pth.'))
    assert synced[1] == str(tmp_path)


def test_temporary_names(tmp_path, monkeypatch):
    assert partial_suffix() != partial_suffix()
    mine, old, new = (tmp_path / f'epoch_{i}.pth' for i in range(3))
    mine = mine.with_name(mine.name + partial_suffix())
    other = tmp_path / f'epoch_4.pth{partial_suffix().replace(str(os.getpid()), "1")}'
    with monkeypatch.context() as patch:
        patch.setattr(atomic_backend.socket, 'gethostname', lambda: 'other.host')
        far, aged = (path.with_name(path.name + partial_suffix()) for path in (old, new))
    former = tmp_path / 'epoch_7.pth.partial'
    for path in (mine, other, far, aged, former):
        path.touch()
    for path in (aged, former):
        os.utime(path, (1e9, 1e9))
    # this process is not writing; process 1 runs; a file of another machine may be written now
    assert set(abandoned_files(tmp_path, '*.pth')) == {mine, aged, former}


def test_without_processes_to_ask_only_age_counts(tmp_path, monkeypatch):
    (tmp_path / f'a.pth{partial_suffix()}').touch()
    old = tmp_path / f'b.pth{partial_suffix()}'
    old.touch()
    os.utime(old, (0, 0))
    monkeypatch.setattr(atomic_backend, 'CAN_ASK', False)
    monkeypatch.delattr(atomic_backend.os, 'kill')
    assert set(abandoned_files(tmp_path, '*.pth')) == {old}
