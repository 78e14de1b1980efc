"""A training on photos lists each class folder once, and splits once."""

import os

import numpy as np
import pytest
from PIL import Image

from vit_plugins.datasets import folder_scan

CLASSES = ('dark', 'light ones')


@pytest.mark.slow
@pytest.mark.parametrize('parts', [[''], ['train', 'val', 'test']], ids=['one folder', 'parts'])
def test_each_class_folder_is_listed_once(
    parts, job, train_tool, tmp_path, listed_folders, monkeypatch
):
    root = tmp_path / 'my photos'
    folders = [root / part / name for part in parts for name in CLASSES]
    for folder in folders:
        folder.mkdir(parents=True)
        for i in range(6):
            image = np.full((16, 16, 3), i + 100 * CLASSES.index(folder.name), np.uint8)
            Image.fromarray(image).save(folder / f'{i}.png')
    for folder, _, _ in os.walk(root):
        os.utime(folder, (1e9, 1e9))
    listed_folders.clear()
    splits, split = [], folder_scan.stratified_split
    monkeypatch.setattr(
        folder_scan, 'stratified_split', lambda *args: splits.append(args) or split(*args)
    )
    arguments = [str(job()), '--data-root', str(root), '--work-dir', str(tmp_path / 'run')]
    train_tool.main([*arguments, '--cfg-options', 'train_cfg.max_epochs=1'])
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    assert {name: listed_folders[str(name)] for name in folders} == dict.fromkeys(folders, 1)
    assert len(splits) == (parts == [''])
