"""The commands of docs/own_photos.md, one after the other, at tiny size."""

import re
import shlex
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins import __main__ as command
from vit_plugins.resources import resource_root

PAGE = resource_root() / 'docs' / 'own_photos.md'
# What makes a command a matter of seconds, by its first words; weights are random ones.
SMALL = '--workers 0 --no-baselines'
TOY = {
    'train photos-frozen': f'--pretrained frozen.pth --img-size 64 {SMALL}',
    'train photos': f'--pretrained photos.pth --epochs 1 --img-size 112 --batch-size 8 {SMALL}',
    'train photos-scratch': f'--epochs 1 --img-size 32 --batch-size 8 {SMALL}',
    'train similar': '--no-baselines --workers 0 --cfg-options model.init_cfg=None '
    'model.backbone.arch=deit-tiny train_cfg.max_iters=1 train_cfg.val_interval=1 '
    'train_dataloader.batch_size=8 train_dataloader.sampler.batch_size=8 '
    'default_hooks.checkpoint.interval=1',
}


def commands():
    """Yield the commands of this package on the page."""
    for block in re.findall(r'```bash\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            if line.startswith('vit-plugins ') and 'trashnet' not in line:
                yield shlex.split(line)[1:]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write photos of four classes, and random weights of the networks of two recipes."""
    rng = np.random.default_rng(0)
    for label, shade in (('dark', 40), ('grey', 90), ('light', 140), ('white', 190)):
        (tmp_path / 'DIR' / label).mkdir(parents=True)
        for i in range(10):
            image = rng.normal(shade, 20, (32, 40, 3)).clip(0, 255).astype('uint8')
            Image.fromarray(image).save(tmp_path / 'DIR' / label / f'{i}.png')
    for name in ('NEW_PHOTOS', 'PHOTOS'):
        shutil.copytree(tmp_path / 'DIR' / 'dark', tmp_path / name)
    shutil.copy(tmp_path / 'DIR' / 'grey' / '0.png', tmp_path / 'QUESTION.jpg')
    for recipe in ('photos', 'photos-frozen'):
        cfg = Config.fromfile(resource_root() / 'configs' / f'{recipe}.py')
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            backbone = MODELS.build(cfg.model.backbone)
        torch.save(backbone.state_dict(), tmp_path / f'{recipe.rpartition("-")[2]}.pth')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_each_command_of_the_page_runs(folder, monkeypatch):
    ran = []
    for words in commands():
        if words[0] == 'export' and find_spec('onnxscript') is None:
            continue  # of an extra that this environment does not have
        extra = shlex.split(TOY.get(' '.join(words[:2]), ''))
        if words[:2] == ['train', 'photos-scratch']:
            shutil.rmtree(folder / 'work_dirs' / 'photos-scratch', ignore_errors=True)
        monkeypatch.setattr('sys.argv', ['vit-plugins', *words])
        status = 0
        try:
            status = command.main([*words, *extra])
        except SystemExit as end:
            status = end.code
        assert not status, f'{" ".join(words)}: {status}'
        ran.append(words[0])
    assert {'train', 'test', 'predict', 'publish', 'retrieve'} == set(ran) - {'export'}
    assert (folder / 'classes.csv').read_text().count('\n') == 11
    assert any((folder / 'found').iterdir())
    for name in ('photos-frozen', 'photos-frozen_2', 'photos', 'photos-scratch', 'similar'):
        assert list((folder / 'work_dirs' / name).glob('*.pth')), name
