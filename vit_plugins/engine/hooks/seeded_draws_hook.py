"""Draws by image and by step: a run that was interrupted ends as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from ...datasets.samplers.seeded_batches import SeededBatches, seed_batches
from ...datasets.seeds import seed_streams, step_seed


@HOOKS.register_module()
class SeededDrawsHook(Hook):
    """Make random draws depend on what they are for: image and step, not on the past.

    What is drawn for an image depends on (seed, epoch, index) alone, what a rank draws in a step
    (mixup, dropout, dropped paths, pairs of tokens) on (seed, step, rank). So the number of
    workers does not change a run, nor do a kill and a resume; and a model with a loss more draws
    the same otherwise, if that loss draws last in its step, as ``DRLocHead`` does.

    ``_base_/default_runtime.py`` brings the hook. For a config of your own, also with the host's
    tools, one line, and ``custom_imports``::

        default_hooks = dict(seeded_draws=dict(type='SeededDrawsHook'))

    No state of a random stream needs to be saved, as each is set anew before it is drawn from;
    the seeds are: that of the run by the host, that of the sampler here, also where the config
    names none. A training that counts steps is resumed by advancing the sampler; the host would
    load all images of the past.

    Raises:
        TypeError: If the images are not fetched by an index, in batches.
    """

    # before any hook that draws
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Prepare the dataloader, and go to the step that was reached.

        Args:
            runner: The runner.
        """
        loop = runner.train_loop
        batches = seed_batches(loop.dataloader, runner.seed)
        _keep_sampler_seed(runner, batches.sampler)
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = StepBatches(loop.dataloader, loop.iter)
        self._seed(runner, 'before_train')

    def before_train_epoch(self, runner: Runner) -> None:
        """Choose the epoch of the images.

        Args:
            runner: The runner.
        """
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            runner.train_loop.dataloader.batch_sampler.seek(runner.epoch)
        self._seed(runner, 'before_train_epoch')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the random streams of the step.

        Args:
            runner: The runner.
            batch_idx: Unused.
            data_batch: Unused.
        """
        self._seed(runner, 'step')

    def before_val_epoch(self, runner: Runner) -> None:
        """Set the random streams of the validation.

        Args:
            runner: The runner.
        """
        self._seed(runner, 'before_val_epoch')

    def after_train(self, runner: Runner) -> None:
        """Set the random streams of what follows the last step.

        Args:
            runner: The runner.
        """
        self._seed(runner, 'after_train')

    def _seed(self, runner: Runner, moment: str) -> None:
        seed = step_seed(runner.seed, runner.iter, runner.rank, moment)
        seed_streams(seed, devices=True)


class StepBatches:
    """The batches of a training that counts steps, epoch after epoch, from any step on.

    It takes the place of the host's iterator, whose loop asks for all batches of the past when a
    run is resumed; these requests are answered with nothing.

    Args:
        loader: A dataloader whose batch sampler is a ``SeededBatches``.
        step: The steps done before.
    """

    def __init__(self, loader: DataLoader, step: int) -> None:
        self.past = step
        self._found = self._go_over(loader, loader.batch_sampler, step)

    def __iter__(self) -> StepBatches:
        return self

    def __next__(self) -> Any:
        if self.past:
            self.past -= 1
            return None
        return next(self._found)

    @staticmethod
    def _go_over(loader: DataLoader, batches: SeededBatches, step: int) -> Iterator[Any]:
        while True:
            batches.seek_step(step)
            for batch in loader:
                yield batch
                step += 1


def _keep_sampler_seed(runner: Runner, sampler: Any) -> None:
    """Restore the order of the images of the run that was interrupted.

    Its sampler was built before the checkpoint was read, with a seed that may be another one.
    """
    if not hasattr(sampler, 'seed'):
        return
    saved = runner.message_hub.get_info('sampler_seed')
    if runner.iter > 0 and saved is not None:
        sampler.seed = saved
    runner.message_hub.update_info('sampler_seed', sampler.seed)
