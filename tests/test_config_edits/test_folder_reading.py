"""Folders on several ranks: the first lists the files, the others take its listing."""

import os

import pytest
from mmengine.config import Config
from ranks import run_on_ranks

from vit_plugins.config_edits.folder_reading import on_all_ranks, read_folder
from vit_plugins.datasets.folder_scan import FolderError, scan_class_folders


def test_one_process_just_reads():
    assert on_all_ranks(lambda: 3) == 3
    with pytest.raises(FolderError, match='nothing there'):
        on_all_ranks(lambda: (_ for _ in ()).throw(FolderError('nothing there')))


def read_and_count(rank, root, answers):
    listed, scandir = [], os.scandir
    os.scandir = lambda path='.': listed.append(os.fspath(path)) or scandir(path)
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='CustomDataset'))))
    scan = on_all_ranks(lambda: read_folder(root, cfg, verify=False))['train']
    assert scan.samples == scan_class_folders(root).samples  # as the datasets ask for them
    (answers / str(rank)).write_text(f'{len(scan.samples)} {listed.count(str(root / "cat"))}')


@pytest.mark.slow
def test_the_first_rank_alone_lists_the_class_folders(tmp_path):
    root = tmp_path / 'photos'
    for name in ('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for folder in (root, root / 'cat', root / 'dog'):
        os.utime(folder, (1e9, 1e9))
    run_on_ranks(read_and_count, tmp_path, root, tmp_path)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ['3 1', '3 0']
