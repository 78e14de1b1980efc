"""Read and write the folder of a cell: its state, its logs, its record."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any

from ..fileio.atomic_backend import whole_file
from ..fileio.file_lock import acquire
from .grid import Cell

ENDED, BEGUN, FAILED, LOCK = 'record.json', 'cell.json', 'failed.json', 'lock'
# keys of a log line besides the numbers of the model
OF_THE_STEP = {'lr', 'base_lr', 'momentum', 'time', 'data_time', 'grad_norm', 'memory'}
OF_THE_STEP |= {'iter', 'epoch', 'step'}


def cell_state(cell: Cell, folder: Path, data_root: str | None) -> str:
    """Return the state of a cell.

    Args:
        cell: The cell.
        folder: The folder of the cell.
        data_root: The images that it is to use; None for those it did use.

    Returns:
        'done'; 'failed'; 'unfinished', to be resumed; 'todo'; 'changed', if the folder belongs to
        another config or other images; 'busy', if a process works on it.
    """
    if not (folder / BEGUN).is_file():
        return 'todo'
    if _is_locked(folder / LOCK):
        return 'busy'
    if describe_change(cell, folder, data_root):
        return 'changed'
    if (folder / ENDED).is_file():
        return 'done'
    return 'failed' if (folder / FAILED).is_file() else 'unfinished'


def describe_change(cell: Cell, folder: Path, data_root: str | None) -> str:
    """Return the differences between a cell and its folder; empty if there are none.

    Args:
        cell: The cell.
        folder: The folder of the cell.
        data_root: The images that it is to use; None for those it did use.
    """
    begun = read_json(folder / BEGUN)
    if begun['fingerprint'] != cell.fingerprint:
        return f'its config was another ({begun["fingerprint"]}, now {cell.fingerprint})'
    if data_root is not None and begun['data_root'] != data_root:
        return f'it was trained on {begun["data_root"]}, not on {data_root}'
    return ''


def remove_cell(folder: Path) -> None:
    """Delete the folder of a cell.

    Args:
        folder: The folder of the cell.

    Raises:
        ValueError: If it is not the folder of a cell.
    """
    if not (folder / BEGUN).is_file():
        raise ValueError(f'{folder} is not the folder of a cell: not removed')
    shutil.rmtree(folder)


@contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Lock a cell, so that no other study works on it.

    It is a lock of the operating system and is passed on to the training process, so it lasts as
    long as one of the two lives. If a study was killed and is started again, it does not resume a
    cell whose training is still running.

    Args:
        folder: The cell's folder.

    Yields:
        The lock file to pass on, None if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        held = acquire(file, str(folder), inherited=True, advice='start no other study there')
        yield file if held else None
    finally:
        os.close(file)


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as file:
        return not acquire(file.fileno(), str(path), shared=True, inherited=True)


def read_logs(work_dir: Path) -> dict[str, Any]:
    """Load the logs of a training, over all its attempts.

    Args:
        work_dir: The work dir of one stage.

    Returns:
        'curves': name of each loss and metric to (step, value) points, where each step counts
        once; 'last_losses': each part of the loss, and each other number that the model logs, as
        the mean over the last tenth of the lines; 'metrics': the last value of each metric;
        'epochs': the last step of a validation; 'steps': the number of training steps;
        'seconds_per_step': the median over the lines of the log; 'cuda_memory_mb': the largest
        value, None on a CPU.
    """
    train: dict[int, dict] = {}
    val: dict[int, dict] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a killed process
            side = train if 'lr' in entry else val
            for step in [step for step in side if step >= entry['step']]:
                del side[step]  # lost in a crash
            side[entry['step']] = entry
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in train.values():
        if 'loss' in entry:
            curves.setdefault('loss', []).append(
                (entry.get('epoch', entry['step']), entry['loss'])
            )
    skipped = ('step', 'time', 'data_time')
    for step, entry in val.items():
        for name in entry.keys() - set(skipped):
            curves.setdefault(name, []).append((step, entry[name]))
    last = val[max(val)] if val else {}
    times = [entry['time'] for entry in train.values() if 'time' in entry]
    memory = [entry['memory'] for entry in train.values() if 'memory' in entry]
    return {
        'curves': curves,
        'last_losses': _last_losses(list(train.values())),
        'metrics': {name: value for name, value in last.items() if name not in skipped},
        'epochs': max(val, default=0),
        'steps': max(train, default=0),
        'seconds_per_step': median(times) if times else None,
        'cuda_memory_mb': max(memory, default=None),
    }


def _last_losses(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Compute the mean of the model's logged numbers over the last tenth of the lines."""
    ends = lines[-max(len(lines) // 10, 1) :]
    names = set().union(*ends) - OF_THE_STEP
    return {name: fmean(e[name] for e in ends if name in e) for name in sorted(names)}


def read_json(path: Path) -> Any:
    """Load a file that :func:`write_json` wrote.

    Args:
        path: The file.
    """
    return json.loads(path.read_text(encoding='utf-8'))


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a file that is complete at any moment.

    Args:
        content: The content to write.
        path: The file.
    """
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())
