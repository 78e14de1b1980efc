"""Refuse a checkpoint of another model or of other classes."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from vit_plugins.weights.loading import CheckpointMismatchError, load_weights

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
                f'{file} was trained on other classes: {change}. A training cannot go on with '
                'other classes: give it the former ones back, or start another one from its '
                f'weights with a new classifier, --pretrained {file}'
            )


def class_change(before: Sequence[str] | None, now: Sequence[str] | None) -> str | None:
    """Return in words how classes have changed, None if they have not or are not known.

    Args:
        before: Their names, in the order of the labels.
        now: The same of today.

    >>> class_change(['cat', 'dog'], ['ant', 'cat', 'dog'])
    "new: 'ant'"
    >>> class_change(['cat', 'dog'], ['dog', 'cat'])
    "their order differs: label 0 was 'cat' and is 'dog'"
    """
    if before is None or now is None or list(before) == list(now):
        return None
    new = [repr(name) for name in now if name not in set(before)]
    gone = [repr(name) for name in before if name not in set(now)]
    found = [f'{what}: {_some(names)}' for what, names in (('new', new), ('gone', gone)) if names]
    if found:
        return '; '.join(found)
    pairs = enumerate(zip(before, now, strict=False))
    label, (old, name) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    return f'their order differs: label {label} was {old!r} and is {name!r}'


def _some(names: list[str], most: int = 10) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
