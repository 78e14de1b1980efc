"""Log and write for a person what came out of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
<<<<<<< HEAD
from mmengine.dist import get_world_size, is_main_process
=======
import torch
from mmengine.config import ConfigDict
from mmengine.device import get_device
from mmengine.dist import collect_results, get_world_size, is_main_process
>>>>>>> scratch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...config_edits.walking import is_a
from ...datasets.cached_images import CachedImages, uncached
from ...datasets.image_folder import ImageFolder
from ...report.outcome import Outcome, report, write_outcome
from ...report.photo_baselines import photo_baselines
from ..training_accuracy import training_accuracy
from .best_confusion_hook import KEY


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Log the best validation, class by class, and write it to the work dir.

    ``report.txt`` is for people, ``outcome.json`` for ``tools/report.py``.

    It reads what ``BestConfusionHook`` keeps. ``tools/train.py`` adds both.

    Args:
        baselines: Whether to show how far one comes without a network.
    """

    priority = 'VERY_LOW'

    def __init__(self, baselines: bool = True) -> None:
        self.baselines = baselines

    def __repr__(self) -> str:
        return f'TrainingReportHook(baselines={self.baselines})'

    def after_train(self, runner: Runner) -> None:
        """Log and write the report.

        Args:
            runner: The runner.
        """
        if not is_main_process():
            return
        best = runner.message_hub.get_info(KEY)
        lines = _places(runner)
        if best is not None:
            outcome = self._outcome(runner, best)
            write_outcome(runner.work_dir, outcome)
            lines = [*report(outcome), *lines]
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
            train_accuracy=training_accuracy(runner) if counts and alone else None,
            last_accuracy=best['last_score'],
            baselines=photo_baselines(train, dataset) if self.baselines else None,
        )


<<<<<<< HEAD
=======
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
    train = deepcopy(_photos_of(runner.cfg.train_dataloader.dataset))
    held_out = _photos_of(loader.dataset)
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


def _photos_of(dataset: ConfigDict) -> ConfigDict:
    """Return the config of the dataset that images are kept of, see ``CachedImages``."""
    return dataset.dataset if is_a(dataset, CachedImages) else dataset


>>>>>>> scratch
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
