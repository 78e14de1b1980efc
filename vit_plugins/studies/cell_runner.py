"""Run cells, each training and test in a separate process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..resources import resource_root
from ..weights.newest_checkpoint import newest_whole_checkpoint
from .cell_folder import (
    BEGUN,
    ENDED,
    FAILED,
    describe_change,
    locked,
    read_json,
    read_logs,
    write_json,
)
from .grid import Cell, Study

LOG = 'log.txt'


class CellError(RuntimeError):
    """A cell did not finish; the message says why."""


class CellRunner:
    """Run cells of a study below one folder.

    Args:
        study: The study.
        folder: The folder for the folders of all cells.
        data_root: The images, which replace those of the configs.
        threads: ``OMP_NUM_THREADS`` of each process; None does not set it.
        train: The command that trains, up to its arguments; ``tools/train.py`` without baselines,
            which no record contains, if not given.
        test: The command that tests; ``tools/test.py`` if not given.
        tell: The function that shows a line to the user.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        data_root: str | None = None,
        threads: int | None = None,
        train: Sequence[str] | None = None,
        test: Sequence[str] | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        tools = resource_root() / 'tools'
        self.study = study
        self.folder = folder
        self.data_root = data_root
        self.train = list(train or [sys.executable, str(tools / 'train.py'), '--no-baselines'])
        self.test = list(test or [sys.executable, str(tools / 'test.py')])
        self.tell = tell
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get('PYTHONPATH')])]
        self.environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths)}
        if threads is not None:
            self.environment['OMP_NUM_THREADS'] = str(threads)
        self._processes: set[subprocess.Popen] = set()
        self._stopped = False
        self._guard = threading.Lock()

    def run_all(self, cells: Sequence[Cell], jobs: int = 1) -> list[str]:
        """Run cells, several at a time; the others go on if one fails.

        Args:
            cells: The cells.
            jobs: Number of cells that run at the same time.

        Returns:
            The names of the cells that did not finish.
        """
        unfinished = []
        started = time.monotonic()
        pool = ThreadPoolExecutor(jobs)
        futures = {pool.submit(self.run, cell): cell for cell in cells}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                cell = futures[future]
                try:
                    outcome = self._describe(future.result())
                except CellError as error:
                    unfinished.append(cell.name)
                    outcome = f'FAILED\n{error}'
                left = (time.monotonic() - started) / number * (len(cells) - number)
                more = f'; about {left / 60:.0f} min left' if left else ''
                self.tell(f'[{number}/{len(cells)}] {cell.name}: {outcome}{more}')
        finally:  # also after a signal: no process outlives the study
            self.stop()
            pool.shutdown(cancel_futures=True)
        return unfinished

    def stop(self) -> None:
        """End the running processes; their cells can be resumed."""
        with self._guard:
            self._stopped = True
            for process in self._processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)  # the method of Popen would also reap it

    def run(self, cell: Cell) -> dict[str, Any]:
        """Run one cell, or resume it.

        Args:
            cell: The cell.

        Returns:
            Its record.

        Raises:
            CellError: If a command fails or does not write its results.
        """
        folder = self.folder / cell.name
        with locked(folder) as lock:
            if lock is None:
                raise CellError('another process works on it')
            identity = {'fingerprint': cell.fingerprint, 'data_root': self.data_root}
            whose = {'levels': cell.levels, 'seed': cell.seed}
            if (folder / BEGUN).is_file():
                self._check_same(cell, folder)
            if (folder / ENDED).is_file():
                return read_json(folder / ENDED)  # another study has finished it meanwhile
            write_json({**identity, **whose}, folder / BEGUN)
            (folder / FAILED).unlink(missing_ok=True)
            try:
                record = {**identity, **whose, **self._record(cell, folder, lock)}
            except CellError as error:
                if not self._stopped:
                    write_json({'error': str(error)}, folder / FAILED)
                raise
            write_json(record, folder / ENDED)
            return record

    def _check_same(self, cell: Cell, folder: Path) -> None:
        """Refuse to resume a cell that was started with another config or other images."""
        change = describe_change(cell, folder, self.data_root)
        used = read_json(folder / BEGUN)['data_root']
        if not change and used != self.data_root:
            change = f'it was begun with --data-root {used}: give that again'
        if change:
            raise CellError(change)

    def _record(self, cell: Cell, folder: Path, lock: int) -> dict[str, Any]:
        stages: list[dict[str, Any]] = []
        weights = None
        for number, cfg in enumerate(cell.stages, 1):
            stage = folder / f'stage{number}'
            if weights is not None:
                cfg.load_from = str(weights)
            stages.append(self._train_stage(cfg, stage, folder, lock))
            weights = newest_whole_checkpoint(stage)
            if weights is None:
                raise CellError(f'the training left no checkpoint in {stage}')
        metrics = stages[-1]['metrics']
        if cell.tests:
            metrics = {}
            for name, cfg in cell.tests.items():
                found = self._test(cfg, name, weights, folder, lock)
                metrics.update({f'{name}:{key}' if name else key: v for key, v in found.items()})
        missing = [name for name in self.study.metrics if name not in metrics]
        if missing:
            raise CellError(f'no metric {", ".join(missing)}; measured: {", ".join(metrics)}')
        return {'metrics': metrics, **_totals(stages), 'commit': git_commit(), 'stages': stages}

    def _train_stage(self, cfg: Config, stage: Path, folder: Path, lock: int) -> dict[str, Any]:
        """Train, unless that is done, and return the cost and the results."""
        note = stage.with_suffix('.json')
        taken = read_json(note) if note.is_file() else {'attempts': 0}
        if 'wall_seconds' not in taken:
            taken['attempts'] += 1
            write_json(taken, note)
            file = stage.with_suffix('.py')
            cfg.dump(file)
            options = [
                '--work-dir',
                str(stage),
                '--resume',
                'auto',
                *self._data(),
                *self.study.train_args,
            ]
            taken.update(self._call([*self.train, str(file), *options], folder, lock))
            write_json(taken, note)
        return {**taken, **read_logs(stage)}

    def _test(
        self, cfg: Config, name: str, weights: Path, folder: Path, lock: int
    ) -> dict[str, float]:
        stem = f'test_{name}' if name else 'test'
        file, out = folder / f'{stem}.py', folder / f'{stem}.json'
        cfg.dump(file)
        options = ['--work-dir', str(folder / stem), '--out', str(out), '--out-item', 'metrics']
        options += [*self._data(), *self.study.test_args]
        self._call([*self.test, str(file), str(weights), *options], folder, lock)
        if not out.is_file():
            raise CellError(f'the test left no {out}')
        return read_json(out)

    def _data(self) -> list[str]:
        return [] if self.data_root is None else ['--data-root', self.data_root]

    def _call(self, command: list[str], folder: Path, lock: int) -> dict[str, float]:
        """Run a command to its end; its output goes to the cell's log."""
        with (folder / LOG).open('a', encoding='utf-8') as log:
            log.write(f'$ {" ".join(command)}\n')
            log.flush()
            began = time.monotonic()
            with self._guard:
                if self._stopped:
                    raise CellError('stopped')
                process = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=self.environment,
                    pass_fds=[lock],
                )
                self._processes.add(process)
            # wait4 gives the memory of this process, not the largest of all processes
            _, status, usage = os.wait4(process.pid, 0)
            with self._guard:
                self._processes.remove(process)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise CellError(
                f'exit code {process.returncode} of {" ".join(command)}\n'
                f'the end of {folder / LOG}:\n{_end_of(folder / LOG)}'
            )
        unit = 1 if sys.platform == 'darwin' else 1024
        memory = usage.ru_maxrss * unit / 2**20
        return {
            'wall_seconds': time.monotonic() - began,
            'cpu_seconds': usage.ru_utime + usage.ru_stime,
            'peak_rss_mb': memory,
        }

    def _describe(self, record: dict[str, Any]) -> str:
        values = [f'{name} {record["metrics"][name]:.4g}' for name in self.study.metrics]
        return f'{", ".join(values)} after {record["wall_seconds"]:.0f} s'


def _totals(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Combine the stages: sum of times, largest memory, time of a step weighted by steps."""
    steps = sum(stage['steps'] for stage in stages)
    timed = [stage for stage in stages if stage['seconds_per_step'] is not None]
    seconds = sum(stage['seconds_per_step'] * stage['steps'] for stage in timed)
    cuda = [stage['cuda_memory_mb'] for stage in stages if stage['cuda_memory_mb'] is not None]
    return {
        'wall_seconds': sum(stage['wall_seconds'] for stage in stages),
        'cpu_seconds': sum(stage['cpu_seconds'] for stage in stages),
        'seconds_per_step': seconds / steps if timed and steps else None,
        'peak_rss_mb': max(stage['peak_rss_mb'] for stage in stages),
        'cuda_memory_mb': max(cuda, default=None),
        'steps': steps,
        'resumed': any(stage['attempts'] > 1 for stage in stages),
    }


def git_commit() -> str | None:
    """Return the commit of this package's code, with '+' if files differ; None without git."""
    place = ['git', '-C', str(Path(__file__).parent)]
    try:
        found = [
            subprocess.run([*place, *words], capture_output=True, text=True, check=True).stdout
            for words in (['rev-parse', '--short=12', 'HEAD'], ['status', '--porcelain', '-uno'])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return found[0].strip() + ('+' if found[1].strip() else '')


def _end_of(path: Path, lines: int = 20) -> str:
    return '\n'.join(
        f'  | {line}' for line in path.read_text(errors='replace').splitlines()[-lines:]
    )
