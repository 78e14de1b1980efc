"""Check that the metrics that the config waits for are measured."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...config_edits.recipe_variables import UnusedSettingError
from ..sample_validation import UnscoredSampleError, sample_metrics


@HOOKS.register_module()
class MetricNameHook(Hook):
    """Check that the validation measures the metrics on which something depends.

    These are ``save_best`` of a checkpoint hook, and ``monitor`` of an ``EarlyStoppingHook`` or
    of a schedule that waits for a plateau. The host finds a wrong name after the first epoch, or
    never. If such a name is given, a batch of validation images is scored before the training.
    The tools here add this hook; for the host's own tools, name it in ``custom_hooks``.
    """

    priority = 'VERY_HIGH'  # before hooks that compute something before the training

    def before_train(self, runner: Runner) -> None:
        """Score a batch and check the names.

        Args:
            runner: The runner.

        Raises:
            UnusedSettingError: If a metric is not measured.
        """
        wanted = dict(_named_metrics(runner))
        if runner.val_loop is None or not wanted:
            return
        try:
            measured = sample_metrics(runner)
        except UnscoredSampleError as error:  # on all ranks
            runner.logger.info(f'Names of metrics are not checked, a batch has none: {error}')
            return
        for name, place in wanted.items():
            if name not in measured:
                raise UnusedSettingError(
                    f'{place}={name!r}: no metric of that name is measured; there are '
                    f'{", ".join(measured)}'
                )


def _named_metrics(runner: Runner) -> Iterator[tuple[str, str]]:
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            for name in hook.save_best or ():
                if name != 'auto':
                    yield name, 'save_best'
        elif isinstance(hook, EarlyStoppingHook):
            yield hook.monitor, 'monitor'
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for scheduler in (one for group in groups for one in group):
        if getattr(scheduler, 'need_val_args', False):
            yield scheduler.monitor, f'monitor of {type(scheduler).__name__}'
