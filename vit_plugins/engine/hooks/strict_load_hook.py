"""Refuse a checkpoint of another model or of other classes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...weights.loading import CheckpointMismatchError, load_weights
from ..class_change import class_change

FITTED = ('pca.',)  # FitPCAHook fits it to the weights; before that it refuses to be used


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Stop the run if the weights of ``load_from`` or ``resume`` do not fit the model.

    The host only warns, and weights that the checkpoint lacks stay random. The tools here add
    this hook; for the host's own tools, name it in ``custom_hooks``.

    Args:
        may_differ: Beginnings of the names of weights that ``load_from`` may lack or have in
            another shape, such as ``('head.',)`` for fine-tuning. To resume, all weights must fit,
            and the classes must have the names and the order of the checkpoint.

    Raises:
        TypeError: ``may_differ`` is one string.
    """

    # before hooks that load or note something from the same checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, may_differ: Sequence[str] = ()) -> None:
        if isinstance(may_differ, str):
            raise TypeError(f'may_differ must be a list of names, got {may_differ!r}')
        self.may_differ = tuple(may_differ)

    def __repr__(self) -> str:
        return f'StrictLoadHook(may_differ={self.may_differ})'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load the checkpoint, as the host does once more later, and refuse one that does not fit.

        Args:
            runner: The runner.
            checkpoint: The checkpoint that was read.

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
                f'classifier, --pretrained {shlex.quote(file)}'
            )
