"""Write into the work dir which run it belongs to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...command_line.own_process import typed_command
from ...datasets._dataset_wrapper import leaf_dataset
from ...datasets.image_folder import ImageFolder
from ...datasets.trained_photos import (
    TRAINED_ON,
    Photo,
    list_photos,
    read_trained_photos,
    trained_photos_beside,
    write_trained_photos,
)
from ...fileio.run_record import RunRecord, read_record, write_record
from ...resources import installed_versions
from ..device import device_name
from ..late_config import LateConfig
from ..work_folder import WorkFolderError, run_on_other_classes


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Write config and record of a run when its training begins, and note when it ends.

    By then everything is built and checkpoints are loaded, so a run that cannot start does not
    overwrite the files of another run. The tools here add this hook. The host's runner writes
    its config itself; with it only the record is written here.

    Raises:
        WorkFolderError: If the work dir holds a run on other classes.
    """

    # after every hook that may refuse the run, and after the hooks that note the last step
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Write config and record.

        Args:
            runner: The runner.

        Raises:
            WorkFolderError: On every rank, if the work dir holds a run on other classes.
        """
        metainfo = getattr(runner.train_loop.dataloader.dataset, 'metainfo', None) or {}
        classes = metainfo.get('classes')
        folder = runner.work_dir
        trouble = [run_on_other_classes(folder, classes) if is_main_process() else None]
        broadcast_object_list(trouble)
        if trouble[0]:
            raise WorkFolderError(
                f'{folder} {trouble[0]}. Give this run a folder of its own with --work-dir'
            )
        if is_main_process():
            if isinstance(runner, LateConfig):
                runner.write_config()
            name = Path(runner.cfg.filename or f'{runner.timestamp}.py').name
            known = None if classes is None else list(map(str, classes))
            record = RunRecord(
                name,
                known,
                command=typed_command(),
                device=device_name(),
                versions=installed_versions(),
            )
            write_record(runner.work_dir, record)
            _write_photos(runner)

    def before_test(self, runner: Runner) -> None:
        """Write the config of a test, unless the folder belongs to a training.

        Args:
            runner: The runner.
        """
        if isinstance(runner, LateConfig) and read_record(runner.work_dir) is None:
            runner.write_config()

    def after_train(self, runner: Runner) -> None:
        """Write that the run has ended.

        Args:
            runner: The runner.
        """
        if is_main_process() and (record := read_record(runner.work_dir)):
            write_record(runner.work_dir, replace(record, finished=True))


def _write_photos(runner: Runner) -> None:
    """Write which photos of the user's own folder are or, before a resume, were trained on."""
    dataset = runner.train_loop.dataloader.dataset
    leaf = leaf_dataset(dataset)
    path = Path(runner.work_dir, TRAINED_ON)
    photos = _seen_before(runner, path)
    if isinstance(leaf, ImageFolder):
        photos |= list_photos(dataset, leaf.img_prefix)
    if photos:
        write_trained_photos(path, photos)
    else:
        path.unlink(missing_ok=True)  # of an earlier run in this folder


def _seen_before(runner: Runner, table: Path) -> set[Photo]:
    """Return the photos that a resumed training has seen, some of which may be gone now."""
    if not runner._resume:
        return set()
    if runner._load_from:  # perhaps in another folder
        table = trained_photos_beside(runner._load_from)
    return read_trained_photos(table) if table and table.is_file() else set()
