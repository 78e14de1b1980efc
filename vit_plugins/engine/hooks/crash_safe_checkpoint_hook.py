"""Checkpoints that survive a kill at any moment."""

import shutil
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...fileio.atomic_backend import abandoned_files, whole_file
from ..work_folder import set_aside_later
from .best_confusion_hook import KEY as BEST_CONFUSION
from .best_confusion_hook import SCORE


@HOOKS.register_module()
class CrashSafeCheckpointHook(CheckpointHook):
    """The host's ``CheckpointHook`` for runs that may be killed while saving.

    There are four differences. Files are written by
    :class:`~vit_plugins.fileio.atomic_backend.AtomicLocalBackend`. The previous best checkpoint
    (with one ``save_best`` metric) is removed only after the new one is on the disk. A
    checkpoint is saved before its epoch is validated, so a resumed run first does the missing
    validation; every epoch, also the last one, then has its accuracy.
    The best checkpoint of a run that goes on in another folder is copied there from beside the
    checkpoint to resume from, or else from where it was saved, and the old file stays; the host
    would remove it. If it is in neither place, the next validation is the best. What the run
    saved after the checkpoint that it goes back to is moved away.

    Args:
        max_keep_ckpts: How many checkpoints stay, -1 for all. The host removes the oldest before
            it writes the newest, so with at least 2 there is one at any moment.
        backend_args: As in the host's hook.
        **kwargs: The other arguments of the host's hook.

    Raises:
        ValueError: If ``max_keep_ckpts`` is 0 or 1.
    """

    def __init__(
        self, *, max_keep_ckpts: int = 3, backend_args: dict | None = None, **kwargs
    ) -> None:
        if max_keep_ckpts in (0, 1):
            raise ValueError(
                f'max_keep_ckpts={max_keep_ckpts} leaves no whole checkpoint while the next one '
                'is written; use 2 or more, or -1 to keep all'
            )
        if backend_args is None:
            backend_args = dict(backend='atomic')
        super().__init__(max_keep_ckpts=max_keep_ckpts, backend_args=backend_args, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove half-written files of a killed run, then do the validation that it missed.

        Args:
            runner: The runner.
        """
        super().before_train(runner)
        start = _resumed_file(runner)
        if is_main_process():
            for partial in abandoned_files(self.out_dir, '*.pth'):
                partial.unlink(missing_ok=True)
            if start is not None:
                set_aside_later(self.out_dir, start)
        unvalidated = self._is_unvalidated(runner)
        done, end = self._progress(runner)
        self._bring_best_along(runner, start, more_to_come=unvalidated or done < end)
        if unvalidated:
            # The host's hook needs this again, so that it also saves a new best score.
            self.last_ckpt = runner.message_hub.get_info('last_ckpt')
            runner.logger.info('The checkpoint was saved before its validation: validating.')
            runner.val_loop.run()

    def _bring_best_along(self, runner: Runner, start: Path | None, more_to_come: bool) -> None:
        several = self.save_best and len(self.key_indicators) > 1
        known = runner.message_hub.runtime_info
        for key in self.key_indicators if self.save_best else ():
            best, score = (
                f'best_{x}_{key}' if several else f'best_{x}' for x in ('ckpt', 'score')
            )
            if known.get(best) is None:
                continue
            found = [_brought(known[best], self.out_dir, start) if is_main_process() else None]
            broadcast_object_list(found)
            path = found[0]
            known[best] = path
            if path is None and more_to_come:
                known.pop(score, None)
                if key in (SCORE, 'auto'):
                    known.pop(BEST_CONFUSION, None)
            if several:
                self.best_ckpt_path_dict[key] = path
            else:
                self.best_ckpt_path = path

    def _is_unvalidated(self, runner: Runner) -> bool:
        if runner.val_loop is None:
            return False
        loop = runner.train_loop
        done, end = self._progress(runner)
        due = done >= max(loop.val_begin, 1) and (done == end or done % loop.val_interval == 0)
        return due and done != runner.message_hub.get_info('step_validated')

    def _progress(self, runner: Runner) -> tuple[int, int]:
        """Return the epochs, or the steps, that are done, and all of them."""
        loop = runner.train_loop
        return (loop.epoch, loop.max_epochs) if self.by_epoch else (loop.iter, loop.max_iters)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Note that this step is validated, then save the best checkpoint as the host does.

        Args:
            runner: The runner.
            metrics: The metrics of the validation.
        """
        step = runner.epoch if self.by_epoch else runner.iter
        runner.message_hub.update_info('step_validated', step)
        super().after_val_epoch(runner, metrics)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best or len(self.key_indicators) > 1:
            super()._save_best_checkpoint(runner, metrics)
            return
        previous, self.best_ckpt_path = self.best_ckpt_path, None  # hidden from the host's rm
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = previous
        elif previous not in (None, self.best_ckpt_path) and is_main_process():
            Path(previous).unlink(missing_ok=True)


def _resumed_file(runner: Runner) -> Path | None:
    """Return the local checkpoint from which a run goes on, if its name is known."""
    name = str(runner._resume if isinstance(runner._resume, str) else runner._load_from or '')
    return Path(name) if runner._resume and name and '://' not in name else None


def _brought(best: str, folder: str, start: Path | None) -> str | None:
    """Return the path of the best checkpoint in a folder, copied there if it lies in another one.

    Args:
        best: Its path when it was saved, perhaps before the folder was moved.
        folder: The folder where the run saves now.
        start: The checkpoint from which the run goes on; the best may lie beside it.

    Returns:
        None if the file is nowhere.
    """
    if '://' in folder:
        return best
    own = Path(folder, Path(best).name)
    beside = [start.with_name(own.name)] if start else []
    found = next((path for path in (own, *beside, Path(best)) if path.is_file()), None)
    if found is None:
        return None
    if found != own:
        with found.open('rb') as source, whole_file(own, found.stat().st_size) as target:
            shutil.copyfileobj(source, target)
    return str(own)
