"""Keep the confusion matrix of the best validation."""

from __future__ import annotations

from typing import Any

from mmengine.dist import collect_results
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...evaluation.functional.confusion import count_pairs, label_pair

KEY = 'best_confusion'  # in the message hub, and so in checkpoints
SCORE = 'accuracy/top1'
MOST_CLASSES = 100  # with more classes, no table is kept


@HOOKS.register_module()
class BestConfusionHook(Hook):
    """Count the predictions for each class in each validation, and keep the best counts.

    The counts are in the message hub under ``best_confusion``, and so in every checkpoint:
    ``score`` and ``epoch`` of the best validation, its ``confusion`` (K, K), and ``last_score``.
    Nothing is kept for models that do not give each image one class, or for more than 100 classes.
    ``tools/train.py`` adds the hook.
    """

    priority = 85  # before checkpoints save what is kept here

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int] | None] = []

    def __repr__(self) -> str:
        return 'BestConfusionHook()'

    def before_val_epoch(self, runner: Runner) -> None:
        """Start the counts anew.

        Args:
            runner: The runner.
        """
        self._pairs = []

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count the predicted classes of the images.

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
            metrics: The metrics of the validation.
        """
        score = (metrics or {}).get(SCORE)
        dataset = runner.val_loop.dataloader.dataset
        number = len((dataset.metainfo or {}).get('classes') or ())
        if score is None or not 2 <= number <= MOST_CLASSES:
            return
        pairs = collect_results(self._pairs, len(dataset), 'cpu')  # None off the main process
        if not pairs or None in pairs:
            return
        best = runner.message_hub.get_info(KEY)
        if best is None or score > best['score']:
            by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
            best = dict(
                score=float(score),
                epoch=int(runner.iter if by_iter else runner.epoch),
                confusion=count_pairs(pairs, number).tolist(),
            )
        runner.message_hub.update_info(KEY, {**best, 'last_score': float(score)})
