"""Stop a training that has no steps or whose numbers are not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor
from torch.utils.data import DataLoader

from ...datasets.samplers.seeded_batches import never_ends
from ...datasets.unfit_data import UnfitDataError
from ...evaluation.functional.finite import (
    first_non_finite,
    non_finite_in_checkpoint,
    non_finite_weights,
    read_flags,
)
from ...fileio.printable_text import listed
from ...structures.data_sample_batch import DataSampleBatch
from ...weights.bare_model import bare_model
from ..data_check import check_images, check_scored_images


class NoStepError(UnfitDataError):
    """The images of a training do not fill a batch."""


def require_steps(loader: DataLoader) -> None:
    """Check that a dataloader gives at least one batch.

    Args:
        loader: The dataloader of the training, of this rank.

    Raises:
        NoStepError: If it gives none; the message names a batch size that is small enough.
    """
    if never_ends(loader.sampler) or len(loader) > 0:
        return
    images, ranks = len(loader.dataset), get_world_size()
    share = len(loader.sampler)
    raise NoStepError(
        f'{images} training images on {ranks} rank(s) are {share} for each, which do not fill one '
        f'batch of {loader.batch_size}, and drop_last leaves the rest out: no step would be '
        f'taken. Set train_dataloader.batch_size={max(share // 4, 1)} or '
        'train_dataloader.drop_last=False'
    )


@dataclass(frozen=True)
class _Step:
    number: int
    learning_rate: float
    files: Sequence[str]
    finite: Tensor


@HOOKS.register_module()
class TrainingGuardHook(Hook):
    """End a run that trains nothing or whose loss, weights or scores are not finite.

    - A training without a single step is refused, and one whose images a metric cannot score.
    - It ends after several losses in a row that are NaN or infinite. The message names the
      step, the learning rate and the files of the first such batch. A step that mixed precision
      skips because a *gradient* overflows has a finite loss, and does not count.
    - Weights that are not finite end it too, before they are saved; and no checkpoint that holds
      such weights is loaded or resumed from.
    - Scores or descriptors that are not finite end a test.

    ``_base_/default_runtime.py`` contains the hook. For a config of your own, also with the host's
    tools: ``default_hooks = dict(training_guard=dict(type='TrainingGuardHook'))``;
    ``training_guard=None`` switches it off.

    Args:
        patience: How many losses in a row end the training.
        interval: Steps between two checks of the losses: each check waits for the GPU.

    Raises:
        ValueError: If ``patience`` or ``interval`` is not positive.
    """

    # after the log is written and the averaged weights are in place, before checkpoints are saved
    priority = 'LOW'

    def __init__(self, patience: int = 5, interval: int = 10) -> None:
        for name, value in {'patience': patience, 'interval': interval}.items():
            if not value >= 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.patience = patience
        self.interval = interval
        self._unread: list[_Step] = []
        self._bad: list[_Step] = []
        self._last: _Step | None = None
        self._learning_rate = float('nan')

    def before_train(self, runner: Runner) -> None:
        """Refuse a training without a step, or with images that something cannot use.

        Args:
            runner: The runner.

        Raises:
            UnfitDataError: If the images fill no batch, or a metric or module refuses them.
        """
        loader = runner.train_loop.dataloader
        require_steps(loader)
        check_images(runner.model.modules(), loader.dataset)
        check_scored_images(runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Refuse images that a metric cannot score, before they are all encoded.

        Args:
            runner: The runner.

        Raises:
            UnfitDataError: If a metric refuses them.
        """
        check_scored_images(runner.test_loop)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Keep the learning rate of this step, because the schedules change it after the step."""
        self._learning_rate = max(next(iter(runner.optim_wrapper.get_lr().values())))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Note whether the losses are finite; check the flags from time to time.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: The batch, whose files are named.
            outputs: The losses.
        """
        losses = [v for name, v in (outputs or {}).items() if 'loss' in name]
        if not losses:
            return
        finite = torch.as_tensor(sum(losses)).detach().isfinite().all()
        samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
        # names only: samples may keep tensors of the batch on the GPU
        self._last = _Step(runner.iter + 1, self._learning_rate, _names(samples), finite)
        self._unread.append(self._last)
        if len(self._unread) >= self.interval:
            self._look()

    def after_train_epoch(self, runner: Runner) -> None:
        """Check the last losses and the weights, on all ranks.

        Args:
            runner: The runner.

        Raises:
            FloatingPointError: If the weights are not finite.
        """
        self._look()
        self._refuse(non_finite_weights(bare_model(runner.model).state_dict()), runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite, so that every saved file can be used.

        Args:
            runner: The runner.
            checkpoint: What would be saved.

        Raises:
            FloatingPointError: If the weights are not finite.
        """
        self._look()
        self._refuse(non_finite_in_checkpoint(checkpoint), checkpoint['meta']['iter'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite.

        Args:
            runner: The runner.
            checkpoint: What was loaded.

        Raises:
            FloatingPointError: If the weights are not finite.
        """
        names = non_finite_in_checkpoint(checkpoint)
        if names:
            # if the host finds the file itself, it does not say which file
            file = runner._load_from or 'the checkpoint'
            raise FloatingPointError(
                f'{file} holds weights that are not finite '
                f'({listed(names, most=3)}), of a training that diverged: take an earlier one'
            )

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Refuse predictions that are not finite: metrics would rank them all the same.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
            outputs: The predictions.

        Raises:
            FloatingPointError: If one is not finite.
        """
        found = first_non_finite(outputs or ())
        if found is not None:
            place, field = found
            names = _files(_names(outputs[place : place + 1]))
            raise FloatingPointError(
                f'the {field} of {names} is not finite, so no metric means anything: is the '
                'checkpoint of a training that diverged, or does the image overflow in mixed '
                'precision (leave out --amp)?'
            )

    def _look(self) -> None:
        if not self._unread:
            return
        finite = read_flags([step.finite for step in self._unread])
        for step, is_finite in zip(self._unread, finite, strict=True):
            self._bad = [] if is_finite else [*self._bad, step]
            if len(self._bad) == self.patience:
                raise FloatingPointError(
                    f'the loss was not finite in {self.patience} steps in a row; the first was '
                    f'{_told(self._bad[0])}. {_CURE}'
                )
        self._unread.clear()

    def _refuse(self, names: Sequence[str], number: int) -> None:
        if not names:
            return
        steps = ''
        if self._bad:
            steps = f' The first loss that was not finite was that of {_told(self._bad[0])}.'
        elif self._last is not None:
            steps = f' The last was {_told(self._last)}.'
        raise FloatingPointError(
            f'weights are not finite after step {number} ({listed(names, most=3)}); they are not '
            f'saved, and the checkpoints saved before stay.{steps} {_CURE}'
        )


_CURE = (
    'Lower the learning rate (optim_wrapper.optimizer.lr), warm up longer, or clip gradients '
    '(optim_wrapper.clip_grad=dict(max_norm=1)); with --amp, try without; if it is always the '
    'same batch, look at its files.'
)


def _told(step: _Step) -> str:
    return (
        f'step {step.number}, whose learning rate was {step.learning_rate:.4g} and whose '
        f'batch was {_files(step.files)}'
    )


def _names(samples: Sequence[Any]) -> list[str]:
    """Return the file names, without building the samples of a batch that holds columns."""
    if isinstance(samples, DataSampleBatch):
        unknown = [None] * len(samples)
        columns = [samples.metainfo.get(key, unknown) for key in ('img_path', 'sample_idx')]
        pairs = list(zip(*columns, strict=True))
    else:
        pairs = [(sample.get('img_path'), sample.get('sample_idx')) for sample in samples]
    return [path or f'sample {index}' for path, index in pairs]


def _files(names: Sequence[str], most: int = 8) -> str:
    return listed(names, most) if names else 'not known'
