"""Find which run a work dir belongs to, and whether that run is training now."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ..config_edits.reading import read_config_file
from ..config_edits.walking import leaf_datasets
from ..fileio.file_lock import acquire
from ..fileio.run_record import LOCK, RECORD, read_record
from ..weights.newest_checkpoint import STEP_CHECKPOINT, is_saved_later
from .class_change import class_change

EARLIER = 'earlier_runs'
OF_A_RUN = re.compile(r'(?:epoch|iter)_\d+\.pth|best_.+\.pth')


class WorkFolderError(ValueError):
    """A run may not use this folder; the message says why and what to do."""


def planned_classes(cfg: Config) -> list[str] | None:
    """Return the classes that a config names for its training images, None if it names none.

    Args:
        cfg: The config of a training.
    """
    for leaf in leaf_datasets((cfg.get('train_dataloader') or {}).get('dataset') or {}):
        classes = (leaf.get('metainfo') or {}).get('classes')
        if isinstance(classes, list | tuple):
            return list(classes)
    return None


def numbered_folders(first: str) -> Iterator[str]:
    """Yield a default work dir and its replacements: ``x``, ``x_2``, ``x_3``, ...

    Args:
        first: The default.

    Yields:
        Names of folders, without end.
    """
    yield first
    yield from (f'{first}_{number}' for number in itertools.count(2))


def folder_to_resume(
    first: str,
    checkpoint: str,
    classes: Sequence[str] | None,
    dataset: dict | None = None,
) -> str:
    """Return the default work dir whose run ``--resume`` continues.

    Args:
        first: The default work dir.
        checkpoint: ``'auto'``, or the file to continue from.
        classes: The classes to train on, if known.
        dataset: The config of the training images, if the default's name does not identify them,
            for example if it has the name of a file but not the folder of that file.

    Returns:
        The folder of the file, if that folder is the default or a replacement; for ``'auto'`` the
        folder of the latest run with the same classes and that dataset; otherwise the default.

    Raises:
        WorkFolderError: For ``'auto'``, if all runs there had another dataset.
    """
    there = list(itertools.takewhile(os.path.isdir, numbered_folders(first)))
    if checkpoint != 'auto':
        parent = Path(checkpoint).resolve().parent
        return next((folder for folder in there if Path(folder).resolve() == parent), first)
    begun = {
        folder: Path(folder, RECORD).stat().st_mtime_ns
        for folder in there
        if (record := read_record(folder)) and not class_change(record.classes, classes)
    }
    if dataset is not None and begun:
        begun = {key: when for key, when in begun.items() if not _had_other_data(key, dataset)}
        if not begun:
            raise WorkFolderError(
                f'{first} holds a run whose training dataset differs from that of --data: it has '
                'other files or transforms. Leave out --resume to begin a run in a folder of its '
                'own, or name the folder to go on with it all the same: --work-dir '
                f'{shlex.quote(first)}'
            )
    return max(begun, key=begun.__getitem__, default=first)


def _had_other_data(folder: str, dataset: dict) -> bool:
    """Return whether the config that a run left in its folder names another dataset."""
    record = read_record(folder)
    file = Path(folder, record.config) if record else None
    if file is None or not file.is_file():
        return False  # unknown
    loader = read_config_file(file).get('train_dataloader') or {}
    return loader.get('dataset') != dataset


@contextlib.contextmanager
def claimed_work_dir(cfg: Config, numbered: bool = False) -> Iterator[None]:
    """Lock the work dir of a config for one run, so that it destroys no other run.

    A run continues in its own folder, or starts in a folder where no run trains now, no run has
    finished and no run on other classes has started. It is a lock of the operating system, which
    ends with the process in any case; dataloader workers do not hold it.

    Args:
        cfg: The complete config of the training; ``work_dir`` is set.
        numbered: Whether the work dir is the default, so that the next free number may be used.

    Raises:
        WorkFolderError: On every rank, if the run may not use the folder.
    """
    lock, trouble = None, None
    if is_main_process():
        try:
            lock = _claim(cfg, numbered)
        except WorkFolderError as error:
            trouble = str(error)
    answer = [cfg.work_dir, trouble]
    broadcast_object_list(answer)
    cfg.work_dir, trouble = answer
    try:
        if trouble:
            raise WorkFolderError(trouble)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _claim(cfg: Config, numbered: bool) -> int:
    """Lock the folder to use and return the open lock file."""
    resuming = _resumes_here(cfg)
    chosen = cfg.work_dir
    reasons = []
    for folder in numbered_folders(chosen) if numbered and not resuming else [chosen]:
        lock = _lock(folder)
        if lock is None:
            reasons.append(f'{folder}: another run trains there now ({_holder(folder)})')
            continue
        reason = None if resuming else _objection(folder, planned_classes(cfg), numbered)
        if reason is None:
            if not resuming:
                _set_aside(folder)
            if reasons:
                print_log(f'{reasons[0]}. This run is put into {folder}')
            cfg.work_dir = folder
            return lock
        os.close(lock)
        reasons.append(f'{folder} {reason}')
    free = next(folder for folder in numbered_folders(chosen) if not Path(folder).exists())
    raise WorkFolderError(
        f'{reasons[0]}. Give this run a folder of its own: --work-dir {shlex.quote(free)} '
        '(--resume goes on with a run that was stopped)'
    )


def _resumes_here(cfg: Config) -> bool:
    if not cfg.get('resume'):
        return False
    source = cfg.get('load_from')
    return source is None or Path(source).resolve().parent == Path(cfg.work_dir).resolve()


def _objection(folder: str, classes: Sequence[str] | None, numbered: bool) -> str | None:
    """Return why a new run should not begin in a folder, as the end of a sentence."""
    weights = sorted(path.name for path in Path(folder).glob('*.pth'))
    if not weights:
        return None
    record = read_record(folder)
    if record is None:
        return f'holds checkpoints of another run, such as {weights[0]}'
    if change := run_on_other_classes(folder, classes):
        return change
    if record.finished:
        return 'holds a finished run'
    if numbered:
        return 'holds a run that did not come to its end (--resume goes on with it)'
    return None


def _set_aside(folder: str) -> None:
    """Move old checkpoints away when a run starts anew, so that none is taken for a new one."""
    if place := _moved(folder, _of_a_run(folder)):
        print_log(
            f'{folder} held checkpoints of a run that did not come to its end. This run begins '
            f'anew; they are moved to {place} (--resume would have gone on with them)'
        )


def set_aside_later(folder: str, start: Path) -> None:
    """Move away what a run saved after the checkpoint that it goes back to.

    Else the next --resume would go on with it, and predict would take its best weights.

    Args:
        folder: The work dir.
        start: The checkpoint from which the run goes on; if it is of another folder, nothing is
            moved.
    """
    if start.resolve().parent != Path(folder).resolve():
        return
    later = [path for path in _of_a_run(folder) if is_saved_later(path, start)]
    if not any(STEP_CHECKPOINT.fullmatch(path.name) for path in later):
        return  # a best one may have outlived its step
    print_log(
        f'This run goes back to {start.name}. What it saved after that '
        f'({", ".join(sorted(path.name for path in later))}) is moved to {_moved(folder, later)}'
    )


def _of_a_run(folder: str) -> list[Path]:
    return [path for path in Path(folder).glob('*.pth') if OF_A_RUN.fullmatch(path.name)]


def _moved(folder: str, found: Sequence[Path]) -> Path | None:
    """Move checkpoints to a new folder below this one, and return it; None if there are none."""
    if not found:
        return None
    places = (Path(folder, EARLIER, str(number)) for number in itertools.count(1))
    place = next(place for place in places if not place.exists())
    place.mkdir(parents=True)
    for path in found:
        path.rename(place / path.name)
    return place


def run_on_other_classes(folder: str, classes: Sequence[str] | None) -> str | None:
    """Return an objection, as the end of a sentence, to weights of a run on other classes.

    Args:
        folder: A work dir.
        classes: The classes to train on, if known.

    Returns:
        None if the folder holds no weights, or weights of the same or of unknown classes.
    """
    record = read_record(folder)
    if record is None or not any(Path(folder).glob('*.pth')):
        return None
    change = class_change(record.classes, classes)
    return f'holds a run on {change}' if change else None


def _lock(folder: str) -> int | None:
    """Lock a folder, which is made if absent; return None if another process holds the lock."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = os.open(Path(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WorkFolderError(f'{folder} cannot be written to ({error.strerror})') from None
    # Workers do not inherit it, because they outlive a killed run by seconds.
    if not acquire(file, folder, advice='start no other run there'):
        os.close(file)
        return None
    os.ftruncate(file, 0)
    os.write(file, f'process {os.getpid()} on {socket.gethostname()}'.encode())
    return file


def _holder(folder: str) -> str:
    return Path(folder, LOCK).read_text(encoding='utf-8', errors='replace') or 'just begun'
