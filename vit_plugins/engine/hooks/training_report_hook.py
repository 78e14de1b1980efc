"""Log and write the results of a training for people."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.models import BaseClassifier
from mmpretrain.registry import HOOKS

from ...datasets.cached_images import uncached
from ...datasets.image_folder import ImageFolder
from ...datasets.photo_decoding import UndecodableError
from ...datasets.photo_file import PhotoFileError
from ...report.outcome import Outcome, report, write_outcome
from ...report.photo_baselines import photo_baselines
from ...weights.bare_model import bare_model
from ..loops.frozen_feature_loop import FrozenFeatureLoop
from ..training_accuracy import training_accuracy
from .best_confusion_hook import KEY


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Log the best validation, class by class, and write it to the work dir.

    ``report.txt`` is for people, ``outcome.json`` for ``tools/report.py``.

    It reads what ``BestConfusionHook`` keeps. ``tools/train.py`` adds both.

    Args:
        baselines: Whether to show the accuracy that is reached without a network. Its
            computation takes about a minute at most, which comes on top of a time limit.
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
        if best is not None and runner.val_loop is not None:
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
            train_accuracy=_training_accuracy(runner) if counts and alone else None,
            last_accuracy=best['last_score'],
            baselines=photo_baselines(train, dataset) if self.baselines else None,
            frozen=isinstance(runner.train_loop, FrozenFeatureLoop),
        )


def _training_accuracy(runner: Runner) -> float | None:
    try:
        return training_accuracy(runner)
    except (PhotoFileError, UndecodableError) as error:  # no reason to lose the report
        runner.logger.warning(f'The accuracy on training images is not measured: {error}')
        return None


def _places(runner: Runner) -> list[str]:
    folder = runner.work_dir
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    best = next((h.best_ckpt_path for h in hooks if getattr(h, 'best_ckpt_path', None)), None)
    lines = [f'weights, log, curve and this report: {folder}']
    if best:
        lines.append(f'best weights: {best}')
    if best and runner.val_loop is None:  # resumed without validation
        lines.append(
            'these are of an earlier epoch, as nothing was validated now, and all commands take '
            f'them; for the last weights, add --checkpoint {shlex.quote(_last(hooks))} to predict'
        )
    if isinstance(bare_model(runner.model), BaseClassifier):
        shown = shlex.quote(str(folder))
        lines += [
            'next:',
            f'  vit-plugins test {shown}',
            f'  vit-plugins predict {shown} NEW_PHOTOS --out classes.csv',
        ]
    return lines


def _last(hooks: Sequence[CheckpointHook]) -> str:
    return str(next((hook.last_ckpt for hook in hooks if hook.last_ckpt), 'FILE'))
