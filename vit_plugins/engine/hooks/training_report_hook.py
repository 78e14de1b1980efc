"""Log for a person what will be trained, how far it is, and what came out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import collect_results, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...config_edits.walking import uncached_dataset
from ...datasets.cached_images import uncached
from ...datasets.image_folder import ImageFolder
from ...evaluation.functional.confusion import count_pairs, label_pair
from ..photo_baselines import photo_baselines
from ..training_report import Outcome, duration, report

KEY = 'training_report'  # in the message hub, and so in checkpoints
SCORE = 'accuracy/top1'
MOST_CLASSES = 100  # of which a table is kept
WARM = 5  # steps that are not measured, as the first are slow
SAMPLE = 500  # training images that are looked at without augmentation


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Log device, model, images, steps and a forecast before, and a table of classes after.

    ``tools/train.py`` adds the hook. The report goes into ``report.txt`` of the work dir, too.

    Args:
        baselines: Whether to show how far one comes without a network.
        every: Seconds between two lines where no terminal shows a progress bar.
    """

    priority = 85  # after the schedules, before checkpoints save what is kept here

    def __init__(self, baselines: bool = True, every: float = 60.0) -> None:
        self.baselines = baselines
        self.every = every
        self._pairs: list[tuple[int, int] | None] = []
        self._last: float | None = None

    def __repr__(self) -> str:
        return f'TrainingReportHook(baselines={self.baselines}, every={self.every})'

    def before_train(self, runner: Runner) -> None:
        """Log what will be trained.

        Args:
            runner: The runner.
        """
        self._first = runner.iter + WARM
        self._seconds = 0.0
        self._mark = self._told = time.monotonic()
        for line in _briefing(runner):
            runner.logger.info(line)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log a forecast after a few steps, and now and then how far it is.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The losses of the step.
        """
        now = time.monotonic()
        done = runner.iter + 1
        if done > self._first:
            self._seconds += now - self._mark
        self._mark = now
        measured = done - self._first
        if measured < WARM:
            return
        step = self._seconds / measured
        left = duration(step * (runner.max_iters - done))
        if measured == WARM:
            memory = f'; {_memory_gib():.1f} GiB of GPU memory' if get_device() == 'cuda' else ''
            runner.logger.info(
                f'A step takes {step:.2g} s: about {left} for the training, and the time of its '
                f'validations{memory}'
            )
            self._told = now
        elif now - self._told > self.every and not sys.stdout.isatty():
            loss = f', loss {float(outputs["loss"]):.3f}' if 'loss' in (outputs or {}) else ''
            runner.logger.info(f'step {done} of {runner.max_iters}{loss}, about {left} left')
            self._told = now

    def before_train_epoch(self, runner: Runner) -> None:
        """Measure from here: validations and checkpoints are no steps.

        Args:
            runner: The runner.
        """
        self._mark = time.monotonic()

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to count.

        Args:
            runner: The runner.
        """
        self._pairs = []

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep what the images of each class are named.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The samples with label and prediction.
        """
        self._pairs += map(label_pair, outputs or ())

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the counts of the best validation, each image once on any number of ranks.

        Args:
            runner: The runner.
            metrics: What was measured.
        """
        score = (metrics or {}).get(SCORE)
        dataset = runner.val_loop.dataloader.dataset
        number = len((dataset.metainfo or {}).get('classes') or ())
        if score is None or not 2 <= number <= MOST_CLASSES:
            return
        pairs = collect_results(self._pairs, len(dataset), 'cpu')  # None but on the main process
        if not pairs or None in pairs:
            return
        self._last = float(score)
        best = runner.message_hub.get_info(KEY)
        if best is None or score > best['score']:
            by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
            kept = dict(
                score=float(score),
                epoch=int(runner.iter if by_iter else runner.epoch),
                confusion=count_pairs(pairs, number).tolist(),
            )
            runner.message_hub.update_info(KEY, kept)

    def after_train(self, runner: Runner) -> None:
        """Log and write the report.

        Args:
            runner: The runner.
        """
        if not is_main_process():
            return
        best = runner.message_hub.get_info(KEY)
        lines = [] if best is None else [*report(self._outcome(runner, best))]
        lines += _places(runner)
        text = '\n'.join(lines)
        runner.logger.info(f'Trained.\n{text}', extra=dict(shown=True))
        Path(runner.work_dir, 'report.txt').write_text(f'{text}\n', encoding='utf-8')

    def _outcome(self, runner: Runner, best: dict) -> Outcome:
        dataset = runner.val_loop.dataloader.dataset
        train = uncached(runner.train_loop.dataloader.dataset)
        counts: Sequence[int] = ()
        if isinstance(train, ImageFolder):
            counts = np.bincount(train.get_gt_labels(), minlength=len(train.CLASSES)).tolist()
        alone = get_world_size() == 1
        return Outcome(
            epoch=best['epoch'],
            unit='step' if isinstance(runner.train_loop, IterBasedTrainLoop) else 'epoch',
            confusion=np.asarray(best['confusion']),
            classes=dataset.metainfo['classes'],
            train_counts=counts,
            train_accuracy=_training_accuracy(runner) if counts and alone else None,
            last_accuracy=self._last,
            baselines=photo_baselines(runner) if self.baselines else None,
        )


def _briefing(runner: Runner) -> list[str]:
    device = get_device()
    name = f'{os.cpu_count()} cores, {torch.get_num_threads()} threads'
    if device == 'cuda':
        name = torch.cuda.get_device_name()
    model = runner.model.module if hasattr(runner.model, 'module') else runner.model
    kind = type(getattr(model, 'backbone', model)).__name__
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    images = f'{len(runner.train_dataloader.dataset):,} images to train on'
    if runner.val_loop is not None:
        images += f', {len(runner.val_loop.dataloader.dataset):,} to validate'
    length = f'{runner.max_iters:,} steps of {runner.train_dataloader.batch_size or "?"}'
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        length = f'{runner.max_epochs} epochs, {length}'
    ranks = f', {get_world_size()} ranks' if get_world_size() > 1 else ''
    return [
        f'Device: {device} ({name}){ranks}. Model: {kind}, {parameters:.1f} M parameters',
        f'{images}; {length} images each. Log, config and weights: {runner.work_dir}',
    ]


def _memory_gib() -> float:
    return torch.cuda.max_memory_allocated() / 2**30


def _training_accuracy(runner: Runner) -> float | None:
    """Return the share of training images, without augmentation, that is right, in percent."""
    loader = deepcopy(runner.cfg.val_dataloader)
    train = deepcopy(uncached_dataset(runner.cfg.train_dataloader.dataset))
    held_out = uncached_dataset(loader.dataset)
    if 'pipeline' not in train or 'pipeline' not in held_out:
        return None
    count = len(runner.train_loop.dataloader.dataset)
    chosen = np.random.default_rng(0).permutation(count)[:SAMPLE]
    loader.dataset = {
        **train,
        'pipeline': held_out.pipeline,
        'indices': sorted(map(int, chosen)),
    }
    loader.num_workers, loader.persistent_workers = 0, False
    built = Runner.build_dataloader(loader, seed=0)
    runner.model.eval()
    right = total = 0
    with torch.no_grad():
        for batch in built:
            for sample in runner.model.val_step(batch):
                right += int(sample.gt_label) == int(sample.pred_label)
                total += 1
    return 100 * right / total


def _places(runner: Runner) -> list[str]:
    folder = runner.work_dir
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    best = next((h.best_ckpt_path for h in hooks if getattr(h, 'best_ckpt_path', None)), None)
    lines = [f'weights, log, curve and this report: {folder}']
    if best:
        lines.append(f'best weights: {best}')
    if runner.message_hub.get_info(KEY) is not None:
        lines += [
            'next:',
            f'  vit-plugins test {folder}',
            f'  vit-plugins predict {folder} NEW_PHOTOS --out classes.csv',
        ]
    return lines
