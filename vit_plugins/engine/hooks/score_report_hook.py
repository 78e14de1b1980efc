"""Report a test for people: how many images, how sure, which classes are confused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dist import collect_results, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...evaluation.functional.confusion import count_pairs, format_scores, label_pair

MOST_CLASSES = 30  # with more classes, no table and no matrix are shown


@HOOKS.register_module()
class ScoreReportHook(Hook):
    """Log the accuracy with its interval, a table of the classes and their confusions.

    Attributes:
        rows: File, true class, predicted class and score of each image, when the test is over;
            empty for a model that does not give each image one class.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._own: list[tuple[str, int, int, float]] = []

    def __repr__(self) -> str:
        return 'ScoreReportHook()'

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep label and prediction of each image.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The samples.
        """
        self._own += [row for row in map(_row, outputs or ()) if row is not None]

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log the table."""
        dataset = runner.test_loop.dataloader.dataset
        found = collect_results(self._own, len(dataset), 'cpu')
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if not is_main_process() or not found or not classes:
            return
        self.rows = [
            dict(file=file, true=classes[truth], predicted=classes[named], score=round(score, 6))
            for file, truth, named, score in found
        ]
        confusion = count_pairs([row[1:3] for row in found], len(classes))
        lines = format_scores(confusion, classes)
        if len(classes) > MOST_CLASSES:
            lines = [lines[0], *(line for line in lines[-1:] if line.startswith('named'))]
        else:
            lines += matrix_lines(confusion, classes)
        text = '\n'.join(lines)
        runner.logger.info(f'Tested.\n{text}', extra=dict(shown=True))


def matrix_lines(confusion: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return a confusion matrix as text: a row for each true class, a column for each prediction.

    Args:
        confusion: Counts, (K, K).
        classes: The K classes.
    """
    width = max(map(len, classes))
    cell = max(len(str(confusion.max())), len(str(len(classes)))) + 1
    heads = ''.join(f'{i + 1:{cell}}' for i in range(len(classes)))
    lines = [f'{"rows: class, columns: named":{width + 4}}', f'{"":{width + 4}}{heads}']
    for i, name in enumerate(classes):
        counts = ''.join(f'{count:{cell}}' for count in confusion[i])
        lines.append(f'{i + 1:3} {name:{width}}{counts}')
    return lines


def _row(sample: Any) -> tuple[str, int, int, float] | None:
    """Return file, label, prediction and score of a sample, None if it lacks one of them."""
    pair = label_pair(sample)
    if pair is None:
        return None
    get = sample.get if isinstance(sample, Mapping) else lambda key: getattr(sample, key, None)
    scores = get('pred_score')
    score = float(scores[pair[1]]) if scores is not None and scores.ndim == 1 else float('nan')
    return str(get('img_path') or ''), *pair, score
