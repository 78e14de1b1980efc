"""Run readers on changed files and count the outcomes."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .readers import READERS, Reader

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None

MOST_MEGABYTES = 1024  # that the readers may add to the peak memory
SECONDS = 10  # after this a reader counts as hanging


class HangError(BaseException):
    """A reader did not end; its own ``except Exception`` does not catch this."""


@dataclass
class Outcome:
    """The results of the files of one reader.

    Attributes:
        read: Number of files that were read in spite of the changes.
        refused: Each documented error to its count.
        faults: Number of the file and its error, for each undocumented error.
        slowest: Seconds of the slowest file.
        megabytes: Megabytes that were added to the peak memory.
    """

    read: int = 0
    refused: Counter = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    slowest: float = 0.0
    megabytes: float = 0.0

    @property
    def inputs(self) -> int:
        """Return the number of files."""
        return self.read + self.refused.total() + len(self.faults)


def fuzz(name: str, numbers: range, folder: Path, seed: int = 0) -> Outcome:
    """Run a reader on changed files; reader, seed and number identify each file.

    Args:
        name: A key of ``READERS``.
        numbers: The numbers of the files.
        folder: The folder for the files, which are written one by one under the same name.
        seed: The common seed.

    Raises:
        ValueError: If the reader refuses a file that was not changed.
    """
    reader, outcome = READERS[name], Outcome()
    seeds = reader.seeds()
    path = folder / f'input{reader.suffix}'
    before = _megabytes()
    with _quiet():
        for content in seeds:
            path.write_bytes(content)
            try:
                reader.read(path)
            except Exception as error:
                raise ValueError(
                    f'{name}: the valid file that is to be changed is refused ({error}), so that '
                    'its changes would try nothing'
                ) from error
        for number in numbers:
            path.write_bytes(changed_file(reader, seeds, name, number, seed))
            _try(reader, path, number, outcome)
            outcome.megabytes = _megabytes() - before
            if outcome.megabytes > MOST_MEGABYTES:
                outcome.faults.append((number, f'{outcome.megabytes:.0f} MB of memory'))
                break
    return outcome


def _megabytes() -> float:
    """Return the peak memory so far, 0 if the system does not report it."""
    if resource is None:
        return 0.0
    unit = 2**20 if sys.platform == 'darwin' else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def changed_file(reader: Reader, seeds: list[bytes], name: str, number: int, seed: int) -> bytes:
    """Return the changed file with a number.

    Args:
        reader: The reader.
        seeds: The valid files of the reader.
        name: The name of the reader.
        number: The number.
        seed: The common seed.
    """
    return reader.changed(seeds, random.Random(f'{name} {seed} {number}'))


def _try(reader: Reader, path: Path, number: int, outcome: Outcome) -> None:
    began = time.perf_counter()
    try:
        with _time_limit():
            reader.read(path)
        outcome.read += 1
    except reader.documented as error:
        if isinstance(error, RecursionError):  # a RuntimeError only by inheritance
            outcome.faults.append((number, traceback.format_exc()))
        else:
            outcome.refused[type(error).__name__] += 1
    except (Exception, HangError):
        outcome.faults.append((number, traceback.format_exc()))
    outcome.slowest = max(outcome.slowest, time.perf_counter() - began)


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    if not hasattr(signal, 'setitimer'):
        yield
        return

    def stop(*args: object) -> None:
        raise HangError(f'no end after {SECONDS} s')

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence logs, warnings, and decoders, which write to stderr."""
    before, stderr = logging.root.manager.disable, os.dup(2)
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, 'w') as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            warnings.simplefilter('ignore')
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        logging.disable(before)


def describe(outcomes: dict[str, Outcome]) -> str:
    """Return a table of outcomes, a line for each reader.

    Args:
        outcomes: Name of each reader to its outcome.
    """
    heads = ('inputs', 'read', 'refused', 'faults', 'slowest', 'memory')
    lines = [f'{"reader":22}' + ''.join(f'{head:>10}' for head in heads)]
    for name, found in outcomes.items():
        lines.append(
            f'{name:22}{found.inputs:10,}{found.read:10,}{found.refused.total():10,}'
            f'{len(found.faults):10,}{found.slowest:8.2f} s{found.megabytes:7.0f} MB'
        )
    return '\n'.join(lines)
