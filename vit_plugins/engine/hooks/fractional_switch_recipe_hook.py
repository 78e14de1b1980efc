"""Switch the recipe as the host does, at fractions of the training instead of epochs."""

from collections import OrderedDict
from collections.abc import Sequence

from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.engine.hooks import SwitchRecipeHook
from mmpretrain.registry import HOOKS

CHANGES = ('train_pipeline', 'batch_augments', 'loss')


def switch_epoch(fraction: float, max_epochs: int) -> int:
    """Compute the epoch, counted from 1, that begins when a fraction of the training is over.

    Args:
        fraction: The fraction, between 0 and 1.
        max_epochs: Epochs of the training.

    >>> switch_epoch(0.9, 100)  # ninety epochs before it, ten from it on
    91
    """
    return round(fraction * max_epochs) + 1


@HOOKS.register_module()
class FractionalSwitchRecipeHook(SwitchRecipeHook):
    """Change pipeline, batch augmentations or loss when a fraction of the training is over.

    The host's ``SwitchRecipeHook`` names an epoch, so a training of another length would switch
    too early or never. This config ends mixing for the last tenth, whatever ``max_epochs`` is::

        custom_hooks = [
            dict(
                type='FractionalSwitchRecipeHook',
                schedule=[dict(action_fraction=0.9, batch_augments=None)],
            )
        ]

    A resumed training first makes the switches that are already due. A training that
    ``TimeBudgetHook`` shortens makes them earlier.

    Args:
        schedule: Dicts with ``action_fraction``, between 0 and 1, and one or more of
            ``train_pipeline``, ``batch_augments`` (None ends them) and ``loss``.

    Raises:
        ValueError: If an item of the schedule lacks a key or has an unknown one, two switches fall
            on the same epoch, or the training counts iterations.
    """

    def __init__(self, schedule: Sequence[dict]) -> None:
        for item in schedule:
            fraction = item.get('action_fraction')
            if fraction is None or not 0 < fraction < 1:
                raise ValueError(
                    f'action_fraction ({fraction}) must lie between 0 and 1: 0.9 switches when '
                    f'nine tenths of the training are over'
                )
            changes = set(item) - {'action_fraction'}
            if not changes or not changes <= set(CHANGES):
                raise ValueError(
                    f'a switch changes one or more of {", ".join(CHANGES)}, got '
                    f'{", ".join(sorted(changes)) or "none of them"}'
                )
        numbered = [
            {'action_epoch': i, **{key: value for key, value in item.items() if key in CHANGES}}
            for i, item in enumerate(schedule)
        ]
        super().__init__(numbered)
        self.fractions = [item['action_fraction'] for item in schedule]
        self.recipes = list(self.schedule.values())

    def before_train(self, runner: Runner) -> None:
        """Compute the epochs of the switches; in a resumed training, make those that are due.

        Args:
            runner: The runner.
        """
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                'FractionalSwitchRecipeHook counts epochs, train_cfg iterations: set '
                'train_cfg=dict(by_epoch=True, max_epochs=...) or leave the hook out'
            )
        epochs = [switch_epoch(fraction, runner.max_epochs) for fraction in self.fractions]
        if len(set(epochs)) != len(epochs):
            raise ValueError(
                f'two switches of action_fraction {self.fractions} fall on the same of '
                f'{runner.max_epochs} epochs: train longer, or join them'
            )
        self.schedule = OrderedDict(sorted(zip(epochs, self.recipes, strict=True)))
        super().before_train(runner)
        passed = runner.epoch + 1 if runner._resume else 0
        self._made = {i for i, epoch in enumerate(epochs) if epoch < passed}

    def before_train_epoch(self, runner: Runner) -> None:
        """Make the switches that are due in the training as it is planned now.

        Args:
            runner: The runner.
        """
        for i, fraction in sorted(enumerate(self.fractions), key=lambda item: item[1]):
            due = runner.epoch + 1 >= switch_epoch(fraction, runner.max_epochs)
            if due and i not in self._made:
                self._made.add(i)
                self._do_switch(runner, self.recipes[i], f' at epoch {runner.epoch + 1}')
