"""A training of a second with every source of random numbers, which can end at any step."""

import contextlib
import copy
import random
import uuid
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain.registry import DATASETS, TRANSFORMS

ARCH = dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16)
CLASSIFIER = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ConViT',
        arch=ARCH,
        num_local_layers=1,
        img_size=8,
        patch_size=4,
        out_type='raw',
        drop_path_rate=0.2,
        drop_rate=0.1,
    ),
    head=dict(
        type='DRLocHead',
        in_channels=16,
        patch_size=4,
        num_pairs=4,
        hidden_dims=(8,),
        head=dict(type='VisionTransformerClsHead', num_classes=4, in_channels=16),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
RETRIEVER = dict(
    type='EmbeddingRetriever',
    backbone=dict(type='VisionTransformer', arch=ARCH, img_size=8, patch_size=4),
    neck=dict(type='TokenPooling'),
    head=dict(
        type='ContrastiveRetrievalHead',
        loss=dict(type='ContrastiveLoss', margin=0.5),
        memory=dict(type='CrossBatchMemory', size=10),
        koleo=dict(type='KoLeoLoss', loss_weight=0.1),
    ),
    momentum_encoder=0.9,
)
PIPELINE = [dict(type='ThreeAugment'), dict(type='DrawFromAll'), dict(type='PackInputs')]


@DATASETS.register_module(force=True)
class NoisyShades(BaseDataset):
    """21 different images of four shades; nothing is read from a disk."""

    METAINFO = dict(classes=('black', 'dark', 'light', 'white'))

    def load_data_list(self):
        rng = np.random.default_rng(0)
        shades = (np.arange(21) % 4 * 60)[:, None, None, None] + rng.normal(30, 20, (21, 8, 8, 3))
        return [
            dict(img=image, img_shape=(8, 8), gt_label=i % 4, img_path=f'photo{i}.png')
            for i, image in enumerate(shades.clip(0, 255).astype('uint8'))
        ]

    def get_gt_labels(self):
        return np.arange(21) % 4


@TRANSFORMS.register_module(force=True)
class DrawFromAll:
    """Shift an image by random numbers of Python, numpy and torch."""

    def __call__(self, results):
        drawn = [random.random(), np.random.rand(), torch.rand(()).item()]  # noqa: NPY002
        results['img'] = (results['img'] + 30 * np.array(drawn)).clip(0, 255).astype('uint8')
        return results


class Interrupted(Exception):
    """Raised in place of a kill."""


class InterruptHook(Hook):
    """Raise `Interrupted` before a step."""

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            raise Interrupted


def settings(work_dir, workers=0, by_iter=False, model=CLASSIFIER, sampler=None, **changes):
    """Return the config of 3 epochs of 4 batches, or of 9 steps with a checkpoint every 3."""
    length = dict(max_iters=9, val_interval=100) if by_iter else dict(max_epochs=3)
    hooks = dict(
        logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=not by_iter),
        checkpoint=dict(
            type='CrashSafeCheckpointHook', interval=3 if by_iter else 1, by_epoch=not by_iter
        ),
        seeded_draws=dict(type='SeededDrawsHook'),
    )
    return dict(
        model=copy.deepcopy(model),
        work_dir=str(work_dir),
        experiment_name=uuid.uuid4().hex,
        default_scope='mmpretrain',
        data_preprocessor=dict(num_classes=4, mean=[127] * 3, std=[60] * 3),
        train_dataloader=dict(
            batch_size=6,
            num_workers=workers,
            persistent_workers=workers > 0,
            dataset=dict(type='NoisyShades', pipeline=PIPELINE, serialize_data=False),
            sampler=sampler or dict(type='InfiniteSampler' if by_iter else 'DefaultSampler'),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=not by_iter, **length),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        param_scheduler=dict(type='LinearLR', start_factor=0.1, end=9, by_epoch=False),
        default_hooks=hooks,
        log_processor=dict(by_epoch=not by_iter),
        randomness=dict(seed=3),
        log_level='ERROR',
        **changes,
    )


def train(config, interrupt=None, resume=None):
    """Train to the end or to a step; return the newest checkpoint and its content."""
    config = copy.deepcopy(config) | dict(resume=resume is not None, load_from=resume)
    config['experiment_name'] = uuid.uuid4().hex  # a new process shares no message hub
    runner = Runner.from_cfg(config)
    if interrupt is not None:
        runner.register_hook(InterruptHook(interrupt))
    with contextlib.suppress(Interrupted):
        runner.train()
    # Left to the garbage collector, workers take five seconds each to end.
    runner.train_loop.dataloader._iterator = None
    runner.train_loop.dataloader_iterator = None
    paths = Path(config['work_dir']).glob('[ei]*.pth')
    newest = str(max(paths, key=lambda path: int(path.stem.split('_')[-1])))
    return newest, CheckpointLoader.load_checkpoint(newest, map_location='cpu')
