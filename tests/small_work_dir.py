"""The work dir of a tiny classifier that was not trained."""

import json
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain import get_model
from PIL import Image

from vit_plugins.fileio.run_record import RunRecord, write_record

CLASSES = ('<script>alert(1)<', 'cat & "dog"', 'ox')
SCALARS = [
    dict(lr=0.1, loss=3.0, time=0.5, epoch=1, iter=2, step=2),
    dict(lr=0.1, loss=2.0, time=0.5, epoch=1, iter=4, step=4),
    {'accuracy/top1': 40.0, 'f1/ox': 30.0, 'f1/mean': 35.0, 'step': 1},
    dict(lr=0.05, loss=1.0, time=0.25, epoch=2, iter=8, step=8),
    {'accuracy/top1': 60.0, 'f1/ox': 50.0, 'f1/mean': 55.0, 'step': 2},
]
CONFIG = """
default_scope = 'mmpretrain'
arch = dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=32)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ConViT', arch=arch, img_size=16, patch_size=8, num_local_layers=1,
        out_type='cls_token'),
    head=dict(type='VisionTransformerClsHead', num_classes={number}, in_channels=32))
data_preprocessor = dict(num_classes={number}, mean=[100] * 3, std=[50] * 3, to_rgb=True)
pipeline = [dict(type='LoadPhoto'), dict(type='Resize', scale=16), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ImageFolder', data_root={root!r}, part='train', pipeline=pipeline))
val_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolder', data_root={root!r}, part='val', pipeline=pipeline,
                 test_mode=True))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy')
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = test_cfg = dict()
"""


def make_photos(root: Path, classes, count, side=24):
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(count):
            coarse = rng.integers(0, 255, (4, 5, 3), np.uint8)
            picture = Image.fromarray(coarse).resize((side, side * 2 // 3), Image.BICUBIC)
            picture.save(root / name / f'{i}.jpg')


def make_work_dir(folder: Path, root: Path, classes, seed=0):
    """Write config, checkpoint, log and record."""
    (folder / '20260101_000000' / 'vis_data').mkdir(parents=True)
    lines = '\n'.join(map(json.dumps, SCALARS))
    (folder / '20260101_000000' / 'vis_data' / 'scalars.json').write_text(lines)
    (folder / 'tiny.py').write_text(CONFIG.format(root=str(root), number=len(classes)))
    torch.manual_seed(seed)
    model = get_model(Config.fromfile(folder / 'tiny.py'), device='cpu')
    meta = dict(dataset_meta=dict(classes=tuple(classes)), epoch=2, iter=8)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'epoch_2.pth')
    record = RunRecord(
        'tiny.py',
        list(classes),
        finished=True,
        command='vit-plugins train tiny <b>',
        versions={'torch': '2.1'},
    )
    write_record(folder, record)
    return folder
