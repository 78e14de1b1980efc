"""Folders on several ranks: the first lists the files, the others take its listing."""

import os
import socket
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config

from vit_plugins.config_edits.folder_reading import on_all_ranks, read_folder
from vit_plugins.datasets.folder_scan import FolderError, scan_class_folders
from vit_plugins.engine.ranks import end_ranks


def test_one_process_just_reads():
    assert on_all_ranks(lambda: 3) == 3
    with pytest.raises(FolderError, match='nothing there'):
        on_all_ranks(lambda: (_ for _ in ()).throw(FolderError('nothing there')))


def _rank(rank, port, root, answers):
    os.environ.update(RANK=str(rank), WORLD_SIZE='2')
    address = f'tcp://127.0.0.1:{port}'
    dist.init_process_group('gloo', init_method=address, rank=rank, world_size=2)
    listed, scandir = [], os.scandir
    os.scandir = lambda path='.': listed.append(os.fspath(path)) or scandir(path)
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='CustomDataset'))))
    scan = on_all_ranks(lambda: read_folder(root, cfg, verify=False))['train']
    assert scan.samples == scan_class_folders(root).samples  # as the datasets ask for them
    (answers / str(rank)).write_text(f'{len(scan.samples)} {listed.count(str(root / "cat"))}')
    end_ranks()


@pytest.mark.slow
def test_the_first_rank_alone_lists_the_class_folders(tmp_path):
    root = tmp_path / 'photos'
    for name in ('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for folder in (root, root / 'cat', root / 'dog'):
        os.utime(folder, (1e9, 1e9))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, (port, root, Path(tmp_path)), nprocs=2)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ['3 1', '3 0']
