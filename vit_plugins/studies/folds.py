"""Train once per fold of a small dataset, and compute mean and deviation over the folds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from ..config_edits.walking import uncached_dataset
from ..evaluation.functional.statistics import summarize
from .cell_folder import read_json, read_logs, write_json

RESULT = 'result.json'


class FoldError(RuntimeError):
    """A fold did not finish, or the folder belongs to other folds."""


def fold_config(cfg: Config, fold: int, num_splits: int, seed: int) -> Config:
    """Return the config that trains on all folds except one, and validates on that one.

    The folds are those of the host's ``KFoldDataset``: the training images are shuffled by the
    seed and cut into equal parts; classes are not balanced. The validation and test images of the
    config are not used. But if an ``ImageFolder`` splits its validation part off the training
    part, the folds get both, and if it has ``group_by``, they are its own: whole groups, and
    similar shares of the classes.

    Args:
        cfg: A config that trains and validates; it is not changed.
        fold: The fold to validate on, from 0.
        num_splits: Number of folds.
        seed: The seed of the shuffle.

    Returns:
        The config of this fold, without a test.

    Raises:
        ValueError: If there is no such fold, the config does not validate, or its datasets are in
            wrappers, so that the pipeline cannot be found.
    """
    if num_splits < 2 or not 0 <= fold < num_splits:
        raise ValueError(
            f'fold must lie within 0..num_splits - 1, and num_splits be 2 or more, got '
            f'{fold=} and {num_splits=}'
        )
    cfg = deepcopy(cfg)
    sources = [_photos_of(cfg, part) for part in ('train', 'val')]
    source = deepcopy(sources[0])
    if source.get('part') == 'train':  # an ImageFolder
        source.part = 'all'
    for part, pipeline in zip(('train', 'val'), [s.pipeline for s in sources], strict=True):
        photos = {**deepcopy(source), 'pipeline': pipeline}
        common = dict(seed=seed, test_mode=part == 'val')
        if source.get('group_by') is None:
            fold_of = dict(
                type='KFoldDataset', dataset=photos, fold=fold, num_splits=num_splits, **common
            )
        else:
            photos.pop('val_fraction', None)  # the fold is held out in place of it
            fold_of = {**photos, 'part': part, 'fold': (fold, num_splits), **common}
        loader = cfg[f'{part}_dataloader']
        whole = uncached_dataset(loader.dataset) is loader.dataset
        (loader if whole else loader.dataset).dataset = ConfigDict(fold_of)
    cfg.pop('machine_steps', None)  # the same for all folds
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    return cfg


def _photos_of(cfg: Config, part: str) -> ConfigDict:
    """Return the dataset that has the pipeline: the loader's, or the one inside its cache.

    Raises:
        ValueError: If there is no such dataset.
    """
    loader = cfg.get(f'{part}_dataloader')
    dataset = uncached_dataset(loader.dataset) if loader else {}
    if 'pipeline' not in dataset:
        raise ValueError(
            f'{part}_dataloader.dataset must be a plain dataset with a pipeline to be cut '
            f'into folds, got {dataset.get("type")}: wrap KFoldDataset by hand'
        )
    return dataset


def run_folds(
    cfg: Config,
    folder: Path,
    command: Sequence[str],
    num_splits: int = 5,
    seed: int = 0,
    options: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> list[dict[str, float]]:
    """Train one fold after the other, each in its own process and folder.

    A finished fold is not run again; an interrupted one resumes from its checkpoint.

    Args:
        cfg: The config.
        folder: The folder for ``fold0.py`` and the work dir ``fold0``, and so on.
        command: The command that trains, up to the config.
        num_splits: Number of folds.
        seed: The seed of the shuffle.
        options: Further arguments of the command.
        tell: The function that shows a line to the user.

    Returns:
        The metrics of the last validation of each fold, without lists with a number for each
        class.

    Raises:
        FoldError: If a training fails or leaves no metrics, or the folder holds other folds.
        ValueError: If the config cannot be divided into folds, or there are fewer images, or
            groups of them, than folds.
    """
    folds = [fold_config(cfg, fold, num_splits, seed) for fold in range(num_splits)]
    if not (folder / 'fold0' / RESULT).is_file():
        _require_images(folds[0], num_splits)
    folder.mkdir(parents=True, exist_ok=True)
    for fold, own in enumerate(folds):  # all folds, before hours are spent
        own.experiment_name = f'fold{fold}'
        own.work_dir = str(folder / f'fold{fold}')
        _place(own, folder / f'fold{fold}.py', list(options))
    tell(_told_images(cfg))
    results = []
    for fold, own in enumerate(folds):
        work_dir = Path(own.work_dir)
        if not (work_dir / RESULT).is_file():
            call = [*command, str(folder / f'fold{fold}.py'), '--resume', 'auto', *options]
            call += ['--work-dir', str(work_dir)]
            code = subprocess.run(call, env=_environment(), check=False).returncode
            if code:
                raise FoldError(
                    f'the training of fold {fold} ended with exit code {code}; started again, it '
                    f'goes on from the last checkpoint in {work_dir}'
                )
            metrics = _numbers(read_logs(work_dir)['metrics'])
            if not metrics:
                raise FoldError(f'fold {fold} left no validation in {work_dir}: was there none?')
            write_json(metrics, work_dir / RESULT)
        results.append(read_json(work_dir / RESULT))
        told = ', '.join(f'{name} {value:.2f}' for name, value in results[-1].items())
        tell(f'fold {fold + 1} of {num_splits}: {told}')
    return results


def _require_images(first: Config, num_splits: int) -> None:
    """Check that the first fold, than which none is smaller, has images to validate on."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        held_out = DATASETS.build(uncached_dataset(first.val_dataloader.dataset))
    if not len(held_out):
        raise ValueError(
            f'there are fewer training images than the {num_splits} folds: lower --num-splits'
        )


def _told_images(cfg: Config) -> str:
    train, val = (_photos_of(cfg, part) for part in ('train', 'val'))
    if train.get('part') == 'train':
        return 'folds of the training images, with those that would be split off to validate'
    folder = f' ({val.data_root})' if val.get('data_root') else ''
    return f'folds of the training images alone: those to validate{folder} and test on are unused'


def _numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def _environment() -> dict[str, str]:
    """Return an environment in which a process finds this package from any folder."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


def _place(cfg: Config, file: Path, options: list[str]) -> None:
    """Write the config of a fold, unless another config was already trained in its folder."""
    text = f'{cfg.pretty_text}\n# {options}\n'
    trained = file.is_file() and Path(cfg.work_dir).is_dir()  # the file alone is not enough
    if trained and file.read_text(encoding='utf-8') != text:
        raise FoldError(
            f'{file} is of another config, seed, number of folds or other options: choose another '
            '--work-dir, or delete that one'
        )
    file.write_text(text, encoding='utf-8')


def fold_table(results: Sequence[Mapping[str, float]]) -> str:
    """Return a table of the folds with their mean and standard deviation.

    The deviation (n - 1) is the one between folds. It is not an error of the mean, because the
    folds share most of their training images.

    Args:
        results: The metrics of each fold.

    >>> print(fold_table([{'accuracy/top1': 90.0}, {'accuracy/top1': 92.0}]))
    fold            accuracy/top1
    0                       90.00
    1                       92.00
    mean                    91.00
    deviation                1.41
    """
    names = list(results[0])
    found = [summarize([result[name] for result in results]) for name in names]
    rows = {str(fold): [result[name] for name in names] for fold, result in enumerate(results)}
    rows['mean'] = [summary.mean for summary in found]
    rows['deviation'] = [summary.std for summary in found]
    widths = [max(len(name), 8) for name in names]
    lines = [
        '  '.join([f'{"fold":<14}', *(f'{n:>{w}}' for n, w in zip(names, widths, strict=True))])
    ]
    for title, values in rows.items():
        cells = [f'{v:>{w}.2f}' for v, w in zip(values, widths, strict=True)]
        lines.append('  '.join([f'{title:<14}', *cells]))
    return '\n'.join(lines)
