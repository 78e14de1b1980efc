"""The base of hooks that measure a model regularly and keep the history."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.structures import DataSample
from torch import Tensor

from ..evaluation.functional.finite import json_text
from ..fileio.atomic_backend import AtomicLocalBackend
from ..visualization.measured_history import History, plot_history
from ..weights.bare_model import bare_model

Point = dict[str, Any]


class MeasuringHook(Hook):
    """Measure a model before training and every few epochs; keep, log and plot the results.

    The points are in the runner's message hub, and so in every checkpoint: a resumed run goes on
    with them, without the epochs that were lost in a crash. They are written to
    ``<name>.json`` in the work dir after each measurement, and plotted into ``<name>.png`` at the
    end. A subclass sets ``name`` and defines :meth:`measure` and :meth:`scalars`.

    Args:
        interval: Epochs, or iterations, between two measurements. The first and the last state
            are always measured.
        by_epoch: Whether ``interval`` counts epochs.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    priority = 'LOW'  # before the checkpoint is written, so that it holds the point
    name: str

    def __init__(self, interval: int = 1, by_epoch: bool = True) -> None:
        if not interval >= 1:
            raise ValueError(f'interval must be 1 or more, got {interval}')
        self.interval = interval
        self.by_epoch = by_epoch

    def __repr__(self) -> str:
        return f'{type(self).__name__}(interval={self.interval}, by_epoch={self.by_epoch})'

    def measure(self, runner: Runner, model: BaseModel) -> Point:
        """Return the present measurement: lists and numbers that JSON can hold.

        Args:
            runner: The runner.
            model: Its model without wrappers.
        """
        raise NotImplementedError

    def scalars(self, point: Point) -> dict[str, float]:
        """Return the numbers of a point for the visualizer's backends.

        Args:
            point: What :meth:`measure` returned.
        """
        raise NotImplementedError

    def before_train(self, runner: Runner) -> None:
        """Measure the initial state; a model that lacks what is measured is refused here.

        Args:
            runner: The runner.

        Raises:
            ValueError: If the loop has no epochs to count.
        """
        if self.by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                f'{type(self).__name__} counts epochs, and this training has none: set '
                'by_epoch=False and interval to a number of iterations'
            )
        if runner.iter == 0:
            self._add_point(runner, 0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure, if it is time.

        Args:
            runner: The runner.
        """
        due = self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        if self.by_epoch and due:
            self._add_point(runner, runner.epoch + 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Measure, if it is time."""
        due = self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner)
        if not self.by_epoch and due:
            self._add_point(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Plot the history.

        Args:
            runner: The runner.
        """
        self._plot(runner)

    @master_only
    def _add_point(self, runner: Runner, step: int) -> None:
        found = self.measure(runner, bare_model(runner.model))
        points = self._points(runner)
        points[:] = [point for point in points if point['step'] < step]
        points.append({'step': step, **found})
        runner.message_hub.update_info(self.name, points)
        runner.visualizer.add_scalars(self.scalars(found), step=step)
        history = dict(counted=self._counted, points=points)
        text = json_text(history) + '\n'
        AtomicLocalBackend().put(text.encode(), Path(runner.work_dir, f'{self.name}.json'))

    @master_only
    def _plot(self, runner: Runner) -> None:
        picture = io.BytesIO()
        history = History(self._counted, self._points(runner))
        plot_history(self.name, {'': history}).savefig(picture, format='png')
        AtomicLocalBackend().put(picture.getvalue(), Path(runner.work_dir, f'{self.name}.png'))

    def _points(self, runner: Runner) -> list[Point]:
        return list(runner.message_hub.get_info(self.name, []))

    @property
    def _counted(self) -> str:
        return 'epoch' if self.by_epoch else 'iteration'


class ValidationImages:
    """A few validation images, the same at each measurement, spread over their dataset.

    Args:
        number: Number of images.

    Raises:
        ValueError: If ``number`` is not positive.
    """

    def __init__(self, number: int) -> None:
        if not number >= 1:
            raise ValueError(f'num_images must be 1 or more, got {number}')
        self.number = number
        self._batch: Mapping[str, Any] | None = None

    def load(self, runner: Runner, model: BaseModel) -> tuple[Tensor, list[DataSample]]:
        """Return the images as the model reads them, (B, C, H, W), and their samples.

        Args:
            runner: The runner with a validation.
            model: Its model, whose preprocessor normalises them.

        Raises:
            ValueError: If there is no validation.
        """
        if self._batch is None:
            if runner.val_loop is None:
                raise ValueError(
                    'the images to measure on are those of the validation, which this config '
                    'lacks: set val_dataloader, val_cfg and val_evaluator'
                )
            dataset = runner.val_loop.dataloader.dataset
            places = np.linspace(0, len(dataset) - 1, min(self.number, len(dataset)))
            self._batch = pseudo_collate([dataset[int(place)] for place in places.round()])
        with torch.no_grad():
            data = model.data_preprocessor(dict(self._batch), False)
        return data['inputs'], data['data_samples']
