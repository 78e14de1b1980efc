"""Write configs and studies of the training stages: images on the device, bf16, time budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from ...studies.cell_folder import read_logs
from ...studies.cell_runner import LOG
from ...studies.grid import make_cells, read_study
from ...studies.record_file import keep_records, read_record_file
from .stage import Job

IMAGES = 'configs/_base_/datasets/cifar10_folders_32_batch.py'
FROM_IMAGES = (
    'data_preprocessor', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator',
    'test_evaluator',
)  # fmt: skip
LOADERS = {'train_dataloader': 'train', 'val_dataloader': 'test', 'test_dataloader': 'test'}
CLASSES = 10
TOY_EPOCHS = 2
# Seconds between the end of the trainings and of the stage: for the last validation, checkpoint
# and curve, the accuracy on training images, the report of a study, the end of the processes.
ENDING = 30.0
LAST_LINES = 5  # of the log of a cell that did not end


def time_budget(job: Job) -> dict[str, Any]:
    """Return the hook that ends a training before its stage ends.

    Args:
        job: The job of the stage.
    """
    seconds = job.seconds - min(ENDING, 0.25 * job.seconds)
    return {'type': 'TimeBudgetHook', 'seconds': seconds, 'started': job.started}


def placement(job: Job, subset: bool) -> dict[str, Any]:
    """Return the settings that place images and computation as the job needs.

    Args:
        job: The job of the stage.
        subset: Whether the training images are inside a ``ClassSubset``.
    """
    settings: dict[str, Any] = {}
    for loader, part in LOADERS.items():
        inner = 'dataset.dataset.dataset' if subset and part == 'train' else 'dataset.dataset'
        settings[f'{loader}.{inner}.data_root'] = str(job.images / part)
        settings[f'{loader}.dataset.device'] = job.device
        settings[f'{loader}.dataset.cache_dir'] = str(job.cache)
    if job.device != 'cpu':
        settings |= {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': 'bfloat16'}
    return settings


def write_study(job: Job, study: str, toy: dict[str, Any] | None = None) -> Path:
    """Write a study of the package for this job.

    Args:
        job: The job of the stage.
        study: The study file below ``configs``.
        toy: Keys that replace those of the file in a dry run.

    Returns:
        The study file.
    """
    options = {**placement(job, subset=True), 'custom_hooks': [time_budget(job)]}
    content: dict[str, Any] = {'inherit': str(job.root / 'configs' / study)}
    if job.toy:
        options |= {
            'train_dataloader.batch_size': 4,
            'train_dataloader.dataset.dataset.num_per_class': 2,
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'param_scheduler.0.warmup': 1,
            'default_hooks.logger.interval': 1,
        }
        content |= {'seeds': [0], 'compare': None, **(toy or {})}
    content['options'] = options
    path = job.work / 'study.yaml'
    path.write_text(json.dumps(content, indent=1))  # JSON is also YAML
    return path


def study_command(job: Job, study: str, toy: dict[str, Any] | None = None) -> list[str]:
    """Return the command that runs all cells of a study side by side.

    Args:
        job: The job of the stage.
        study: The study file below ``configs``.
        toy: Keys that replace those of the file in a dry run.
    """
    file = write_study(job, study, toy)
    return [
        *job.tool('study'),
        str(file),
        *('--work-dir', str(job.work / 'cells')),
        *('--records', str(job.work / 'records.json')),
        *('--jobs', '2' if job.toy else '12'),
        *('--threads', '1'),
    ]


def collect_study(job: Job) -> dict[str, Any]:
    """Return the records of the cells that ended, how far the others are, and the report.

    Args:
        job: The job of the stage.
    """
    folder, file = job.work / 'cells', job.work / 'records.json'
    cells = make_cells(read_study(job.work / 'study.yaml'))
    keep_records(file, cells, folder)
    records = read_record_file(file)
    missing = [cell.name for cell in cells if cell.name not in records]
    found: dict[str, Any] = {
        'whole': [*records],
        'missing': missing,
        'cells': records,
        'unfinished': {name: _describe_unfinished(folder / name) for name in missing},
    }
    report = folder / 'report.md'
    if report.is_file():
        found['report'] = report.read_text().splitlines()
    return found


def _describe_unfinished(cell: Path) -> dict[str, Any]:
    """Return how far a cell is, and the end of its log."""
    log = cell / LOG
    found = {'log': log.read_text(errors='replace').splitlines() if log.is_file() else []}
    found['log'] = found['log'][-LAST_LINES:]
    logs = read_logs(cell / 'stage1')  # the studies have one
    return {**{key: value for key, value in logs.items() if key != 'curves'}, **found}


def write_training(
    job: Job, recipe: str, epochs: int, settings: dict[str, Any] | None = None, ends: bool = True
) -> Path:
    """Write a recipe of the package for this job: on CIFAR-10 in class folders.

    Args:
        job: The job of the stage.
        recipe: The recipe file below ``configs``.
        epochs: Number of epochs.
        settings: Other changes of the recipe.
        ends: Whether the training ends with the stage, with a complete schedule.

    Returns:
        The config file.
    """
    cfg = Config.fromfile(job.root / 'configs' / recipe)
    images = Config.fromfile(job.root / IMAGES)
    for key in FROM_IMAGES:
        cfg[key] = images[key]
    cfg.merge_from_dict(
        {
            **placement(job, subset=False),
            'train_cfg.max_epochs': epochs,
            'train_cfg.val_interval': 1 if job.toy else 5,
            'param_scheduler.0.warmup': 0.1 if job.toy else min(8, epochs / 10),
            'default_hooks.checkpoint.interval': 1 if job.toy else 5,
            'default_hooks.checkpoint.max_keep_ckpts': 2,
            'default_hooks.logger.interval': 1 if job.toy else 20,
            **({'train_dataloader.batch_size': 8} if job.toy else {}),
            **(settings or {}),
        }
    )
    if ends:
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), time_budget(job)]
    path = job.work / 'config.py'
    cfg.dump(path)
    return path


def training_command(
    job: Job, recipe: str, epochs: int, settings: dict[str, Any] | None = None
) -> list[str]:
    """Return the command that trains a recipe.

    Args:
        job: The job of the stage.
        recipe: The recipe file below ``configs``.
        epochs: Number of epochs; a dry run has two.
        settings: Other changes of the recipe.
    """
    file = write_training(job, recipe, TOY_EPOCHS if job.toy else epochs, settings)
    return run_command(job, file)


def run_command(job: Job, file: Path) -> list[str]:
    """Return the command that trains a config, without baselines, which cost minutes.

    Args:
        job: The job of the stage.
        file: The config file.
    """
    run = str(job.work / 'run')
    return [*job.tool('train'), str(file), '--work-dir', run, '--no-baselines']


def collect_training(job: Job) -> dict[str, Any]:
    """Return curves, metrics, images per second and memory of a training.

    Args:
        job: The job of the stage.
    """
    found = read_logs(job.work / 'run')
    if not found['steps']:
        raise ValueError('no step was logged')
    batch = Config.fromfile(job.work / 'config.py').train_dataloader.batch_size
    if found['seconds_per_step']:
        found['images_per_second'] = batch / found['seconds_per_step']
    return found


def make_toy_images(folder: Path) -> None:
    """Write noise images in the class folders of CIFAR-10: three for training, two for test each.

    Args:
        folder: The folder for ``train`` and ``test``.
    """
    rng = np.random.default_rng(0)
    for part, number in (('train', 3), ('test', 2)):
        for label in range(CLASSES):
            place = folder / part / f'class{label}'
            place.mkdir(parents=True, exist_ok=True)
            for i in range(number):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f'{i}.jpg')
