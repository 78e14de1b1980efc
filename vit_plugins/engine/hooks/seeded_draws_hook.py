"""Seed random numbers by image and step, so that a resumed run ends like an unbroken one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from ...datasets.samplers.seeded_batches import SeededBatches, seed_batches
from ...datasets.seeds import seed_streams, step_seed

BATCHES_DONE = 'batches_done'


@HOOKS.register_module()
class SeededDrawsHook(Hook):
    """Make random numbers depend on the image and the step, not on earlier random numbers.

    The random numbers for an image depend on (seed, epoch, index) alone; those of a rank in a
    step (mixup, dropout, dropped paths, pairs of tokens) on (seed, step, rank). So neither the
    number of workers nor a kill and a resume changes a run. A model with one more loss gets the
    same random numbers otherwise, if that loss samples last in its step, as ``DRLocHead`` does.

    ``_base_/default_runtime.py`` contains the hook. A config of your own, also with the host's
    tools, needs this line and ``custom_imports``::

        default_hooks = dict(seeded_draws=dict(type='SeededDrawsHook'))

    No state of a random stream needs to be saved, because each stream is seeded again before it
    is used. The seeds are saved: the seed of the run by the host, the seed of the sampler here,
    also if the config names none. A training that is resumed in the middle of an epoch, or that
    counts steps, advances the sampler; the host would start the epoch again, or load all earlier
    images.

    Raises:
        TypeError: If the images are not fetched by an index, in batches.
    """

    # before any hook that uses random numbers
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Prepare the dataloader, and advance it to the step that was reached.

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
        """Set the epoch of the images.

        Args:
            runner: The runner.
        """
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop):
            done = _batches_done(runner)
            loop.dataloader.batch_sampler.seek(runner.epoch, done)
            _count_batches_from(loop, done)
        self._seed(runner, 'before_train_epoch')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the random streams for the step."""
        self._seed(runner, 'step')

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed the random streams for the validation.

        Args:
            runner: The runner.
        """
        self._seed(runner, 'before_val_epoch')

    def after_train(self, runner: Runner) -> None:
        """Seed the random streams for what follows the last step.

        Args:
            runner: The runner.
        """
        self._seed(runner, 'after_train')

    def _seed(self, runner: Runner, moment: str) -> None:
        seed = step_seed(runner.seed, runner.iter, runner.rank, moment)
        seed_streams(seed, devices=True)


def note_batches_done(runner: Runner, done: int) -> bool:
    """Save how far the epoch is in checkpoints, so that a resumed run goes on from there.

    Args:
        runner: The runner of a training by epochs.
        done: Number of batches done in this epoch.

    Returns:
        False if the random numbers are not seeded. Then nothing is saved, because a run could
        not go on from there.
    """
    loader = runner.train_loop.dataloader
    if not isinstance(loader.batch_sampler, SeededBatches):
        return False
    runner.message_hub.update_info(BATCHES_DONE, [done, len(loader)])
    return True


def _batches_done(runner: Runner) -> int:
    """Return the number of batches that an earlier run did in this epoch; 0 at the next call."""
    done, length = runner.message_hub.runtime_info.pop(BATCHES_DONE, (0, 0))
    now = len(runner.train_loop.dataloader)
    if done and length != now:
        runner.logger.warning(
            f'The run was stopped after {done} of {length} batches of an epoch, which now has '
            f'{now}: it goes on at the same share of it, and some images may be missed or repeated'
        )
        done = round(done * now / length)
    return done


def _count_batches_from(loop: EpochBasedTrainLoop, first: int) -> None:
    """Make a loop number the batches of its epoch from ``first`` instead of 0.

    Hooks recognise the last batch by its number.
    """
    vars(loop).pop('run_iter', None)
    if first:
        run = loop.run_iter
        loop.run_iter = lambda index, batch: run(index + first, batch)


class StepBatches:
    """The batches of a training that counts steps, epoch after epoch, from any step.

    It replaces the host's iterator. When a run is resumed, the host's loop requests all earlier
    batches; here these requests load nothing.

    Args:
        loader: A dataloader whose batch sampler is a ``SeededBatches``.
        step: Number of steps done before.
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

    The sampler was built before the checkpoint was read, possibly with another seed.
    """
    if not hasattr(sampler, 'seed'):
        return
    saved = runner.message_hub.get_info('sampler_seed')
    if runner.iter > 0 and saved is not None:
        sampler.seed = saved
    runner.message_hub.update_info('sampler_seed', sampler.seed)
