"""A job of seconds: noisy images of three shades and a transformer of one layer."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from tool_loading import load_tool

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = ['{root}/configs/_base_/default_runtime.py']
experiment_name = __import__('uuid').uuid4().hex  # runs of the same second share nothing
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer', img_size=16, patch_size=8,
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32)),
    head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=32))
data_preprocessor = dict(num_classes=3, mean=[127] * 3, std=[60] * 3)
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset', data_root='{data}', data_prefix='train', pipeline=pipeline))
val_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root='{data}', data_prefix='val', pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=1)
train_cfg = dict(by_epoch=True, max_epochs=3)
val_cfg = test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-4))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, T_max=3)
"""


@pytest.fixture(scope='session')
def train_tool() -> ModuleType:
    return load_tool('train')


@pytest.fixture(scope='session')
def test_tool() -> ModuleType:
    return load_tool('test')


@pytest.fixture(scope='session')
def predict_tool() -> ModuleType:
    return load_tool('predict')


@pytest.fixture(scope='session')
def export_tool() -> ModuleType:
    return load_tool('export')


@pytest.fixture(scope='session')
def look_tool() -> ModuleType:
    return load_tool('look')


@pytest.fixture(scope='session')
def prune_tool() -> ModuleType:
    return load_tool('prune')


@pytest.fixture(scope='session')
def publish_tool() -> ModuleType:
    return load_tool('publish')


@pytest.fixture(scope='session')
def retrieve_tool() -> ModuleType:
    return load_tool('retrieve')


@pytest.fixture(scope='session')
def frozen_tool() -> ModuleType:
    return load_tool('frozen_features')


@pytest.fixture(scope='session')
def analyze_tool() -> ModuleType:
    return load_tool('analyze_embeddings')


@pytest.fixture(scope='session')
def write_shades() -> Callable[[Path], None]:
    """Write class folders of ten noisy images each, whose shades are easy to tell apart."""

    def write(folder: Path) -> None:
        rng = np.random.default_rng(0)
        for label, shade in (('dark', 60), ('grey', 120), ('light', 180)):
            (folder / label).mkdir(parents=True)
            for i in range(10):
                image = rng.normal(shade, 20, (16, 16, 3)).clip(0, 255).astype('uint8')
                Image.fromarray(image).save(folder / label / f'{i}.png')

    return write


@pytest.fixture(scope='session')
def job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write the config of the tiny job, with the given text at its end."""
    folder = tmp_path_factory.mktemp('job')
    rng = np.random.default_rng(0)
    for part, number in (('train', 16), ('val', 12)):
        for label, name in enumerate(('dark', 'grey', 'light')):
            (folder / part / name).mkdir(parents=True)
            for i in range(number):
                image = rng.normal(115 + 8 * label, 60, (16, 16, 3)).clip(0, 255)
                Image.fromarray(image.astype('uint8')).save(folder / part / name / f'{i}.png')

    def write(name: str = 'tiny', added: str = '') -> Path:
        path = folder / f'{name}.py'
        path.write_text(CONFIG.format(root=ROOT, data=folder) + added)
        return path

    return write
