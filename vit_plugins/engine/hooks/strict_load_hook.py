"""Refuse a checkpoint of another model or of other classes."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...weights.loading import CheckpointMismatchError, load_weights
from ..class_change import class_change

FITTED = ('pca.',)  # to the weights by FitPCAHook, without which it refuses to be used


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Stop where ``load_from`` or ``resume`` would go on with weights that do not fit.

    The host warns and leaves random what a checkpoint does not have. The tools here add this
    hook; a run of the host's own tools has it if its ``custom_hooks`` name it.

    Args:
        may_differ: Beginnings of the names of weights that ``load_from`` need not have, in the
            shape of the model, such as ``('head.',)`` for training on. To resume, all must fit,
            and names and order of the classes must be those of the checkpoint.

    Raises:
        TypeError: ``may_differ`` is one string.
    """

    # before hooks that load or note something of the same checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, may_differ: Sequence[str] = ()) -> None:
        if isinstance(may_differ, str):
            raise TypeError(f'may_differ must be a list of names, got {may_differ!r}')
        self.may_differ = tuple(may_differ)

    def __repr__(self) -> str:
        return f'StrictLoadHook(may_differ={self.may_differ})'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load what was read, which the host does once more, and refuse what does not fit.

        Args:
            runner: The runner.
            checkpoint: What was read.

        Raises:
            CheckpointMismatchError: Something does not fit.
        """
        file = str(runner._load_from or 'the checkpoint')
        if runner._resume:
            self._check_classes(runner, checkpoint, file)
        may_differ = () if runner._resume else self.may_differ
        load_weights(runner.model, checkpoint, file, (*may_differ, *FITTED))

    def _check_classes(self, runner: Runner, checkpoint: dict, file: str) -> None:
        before = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        now = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        if change := class_change(before.get('classes'), now.get('classes')):
            raise CheckpointMismatchError(
                f'{file} was trained on {change}. A training cannot go on with other classes: '
                'give it the former ones back, or start another one from its weights with a new '
                f'classifier, --pretrained {file}'
            )
