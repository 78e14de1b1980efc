"""The stages, in order of value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...weights.newest_checkpoint import newest_whole_checkpoint
from .benches import Bench
from .gpu_tests import collect_tests, command_of_tests
from .parcels import pack, unpack
from .stage import Job, Stage
from .trainings import (
    collect_study,
    collect_training,
    run_command,
    study_command,
    training_command,
    write_training,
)

RECIPE = 'small_data/hybrid_convit_cifar10.py'
# A ResNet-18 of half the width: 2.8M parameters.
SMALL_RESNET = {
    'model.backbone.base_channels': 32,
    'model.backbone.stem_channels': 32,
    'model.head.in_channels': 256,
}
SMALL_HYBRID = {  # for a dry run
    'model.backbone.arch.num_layers': 5,
    'model.backbone.arch.embed_dims': 16,
    'model.backbone.arch.feedforward_channels': 16,
    'model.backbone.patch_cfg.stem.channels': (4, 4, 4),
    'model.head.in_channels': 32,
}
LONG_RUN = 'epochs300'  # the parts of the first half's checkpoint in OUT


def _ddp_command(job: Job) -> list[str]:
    config = job.root / 'configs' / 'convit_drloc_digits.py'
    epochs = 4 if job.toy else 12
    options = {
        'train_cfg.max_epochs': epochs,
        'param_scheduler.0.warmup': 0.5,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 5,
    }
    bf16 = ['--amp']  # the form for a CPU
    if job.device != 'cpu':
        bf16 = []
        options |= {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': 'bfloat16'}
    return [
        *job.module('benchmarks.gpu_suite.ddp_resume'),
        *(str(config), str(job.work / 'run'), *bf16, '--cfg-options'),
        *(f'{key}={value}' for key, value in options.items()),
    ]


def _collect_ddp(job: Job) -> dict[str, Any]:
    return json.loads((job.work / 'run' / 'resumed.json').read_text())


def _hybrid_command(job: Job) -> list[str]:
    toy = {'cells': [{'model': ['convit', 'hybrid-convit']}]}
    return study_command(job, 'small_data/hybrid_tenth_gpu_cifar10.yaml', toy)


def _drloc_command(job: Job) -> list[str]:
    toy = {'cells': [{'model': 'swin', 'loss': 'drloc'}]}
    return study_command(job, 'drloc/on_off_gpu_cifar10.yaml', toy)


def _ablation_command(job: Job) -> list[str]:
    toy = {'cells': [{'training': 'three-augment'}]}
    return study_command(job, 'deit3/ablation_gpu_cifar10.yaml', toy)


def _control_command(job: Job) -> list[str]:
    return training_command(job, 'small_data/resnet18_cifar10.py', 20, SMALL_RESNET)


def _recipe_command(job: Job, epochs: int = 20) -> list[str]:
    return training_command(job, RECIPE, epochs, SMALL_HYBRID if job.toy else None)


def _long_recipe_command(job: Job) -> list[str]:
    return _recipe_command(job, 100)


def _long_run_command(job: Job, epochs: int, ends: bool) -> list[str]:
    settings = SMALL_HYBRID if job.toy else None
    file = write_training(job, RECIPE, epochs, settings, ends)
    return [*run_command(job, file), '--resume']


def _first_half_command(job: Job) -> list[str]:
    return _long_run_command(job, 1 if job.toy else 300, ends=False)


def _second_half_command(job: Job) -> list[str]:
    unpack(job.out / LONG_RUN, job.work / 'run')
    return _long_run_command(job, 2 if job.toy else 300, ends=True)


def _collect_first_half(job: Job) -> dict[str, Any]:
    saved = newest_whole_checkpoint(job.work / 'run')
    parts = [] if saved is None else pack(Path(saved), job.out / LONG_RUN)
    return {**collect_training(job), 'parts': [part.name for part in parts]}


SHORT = ('--turn', '0.15')
MODEL = Bench(('model',), SHORT)
ATTENTION = Bench(('gpsa',), SHORT)
LOSSES = Bench(('drloc', 'contrastive', 'retrieval'), SHORT)
STEP = 'small 224 px, batch 128, forward+backward'
COMPILED = Bench(('model',), SHORT, only=STEP, compiled=True)
MILLION = Bench(('retrieval',), ('--rounds', '1'), size='large')

STAGES = (
    Stage(
        '1', 'tests', 'what a GPU computes equals what the CPU does; bf16 and fp16',
        90, command_of_tests, collect_tests, timed=False,
    ),
    Stage(
        '2', 'ddp', 'dist_train.sh: NCCL, one rank, bf16, killed and resumed',
        120, _ddp_command, _collect_ddp, timed=False,
    ),
    Stage(
        '3a', 'model', "ConViT against timm's and a ViT", 90, MODEL.command, MODEL.collect,
    ),
    Stage(
        '3b', 'gpsa', "GPSA against timm's and plain attention",
        80, ATTENTION.command, ATTENTION.collect,
    ),
    Stage(
        '3c', 'losses', "DRLoc's share of a step, the contrastive step, recall",
        150, LOSSES.command, LOSSES.collect,
    ),
    Stage(
        '9d', 'compiled', 'a step of ConViT-S and of its ViT through torch.compile',
        240, COMPILED.command, COMPILED.collect,
    ),
    Stage(
        '9e', 'million', 'exact recall of 1,000,000 x 384', 180, MILLION.command, MILLION.collect,
    ),
    Stage(
        '4', 'tenth', 'a tenth of CIFAR-10: ViT, ConViT, hybrid with GPSA and without, 3 seeds',
        300, _hybrid_command, collect_study, needs_images=True,
    ),
    Stage(
        '5', 'drloc', 'DRLoc on and off for Swin and ViT on a tenth of CIFAR-10, 3 seeds',
        300, _drloc_command, collect_study, needs_images=True,
    ),
    Stage(
        '6', 'control', 'a small ResNet, 20 epochs of CIFAR-10',
        150, _control_command, collect_training, needs_images=True,
    ),
    Stage(
        '7', 'recipe20', 'the small-data recipe, 20 epochs: images a second, memory, accuracy',
        220, _recipe_command, collect_training, needs_images=True,
    ),
    Stage(
        '8', 'recipe100', 'the small-data recipe, 100 epochs or what the time allows',
        300, _long_recipe_command, collect_training, needs_images=True, takes_rest=True,
    ),
    Stage(
        '9a', 'recipe300_begun', 'the small-data recipe, 300 epochs, as far as the time allows',
        300, _first_half_command, _collect_first_half, needs_images=True, takes_rest=True,
        goes_on=True,
    ),
    Stage(
        '9b', 'recipe300', 'the same, from the checkpoint in OUT/epochs300.part* to the end',
        300, _second_half_command, collect_training, needs_images=True, takes_rest=True,
    ),
    Stage(
        '9c', 'ablation', "DeiT III's augmentation on a tenth of CIFAR-10, 3 seeds",
        300, _ablation_command, collect_study, needs_images=True,
    ),
)  # fmt: skip
