"""A stage of the suite, and the job that it gets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """The folders, device and time of a stage.

    Attributes:
        root: The checkout.
        out: The folder for results, which are kept after the machine is gone.
        work: The stage's own folder, for everything else.
        images: CIFAR-10 as class folders, with ``train`` and ``test``.
        cache: The folder of decoded images.
        device: 'cuda', or 'cpu' in a dry run.
        toy: Whether to do only the minimum that shows that it runs.
        started: When the stage began, as ``time.time()`` returns it.
        seconds: The time limit of the stage.
    """

    root: Path
    out: Path
    work: Path
    images: Path
    cache: Path
    device: str
    toy: bool
    started: float
    seconds: float

    def tool(self, name: str) -> list[str]:
        """Return the command that runs a file of ``tools/``.

        Args:
            name: Name of the tool, without '.py'.
        """
        return [sys.executable, str(self.root / 'tools' / f'{name}.py')]

    def module(self, name: str) -> list[str]:
        """Return the command that runs a module of the package.

        Args:
            name: Name of the module below ``vit_plugins``.
        """
        return [sys.executable, '-m', f'vit_plugins.{name}' if name else 'vit_plugins']


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        number: The number on the command line, such as '4'.
        name: The name of its files.
        about: What the stage shows.
        seconds: The time limit.
        command: Returns the command to run; it may write files into the job's work folder.
        collect: Returns the results so far, also if the command failed or was ended. Where they
            consist of parts, 'whole' and 'missing' name those that are there and those that are
            not.
        needs_images: Whether it trains on CIFAR-10.
        takes_rest: Whether it uses all the time that the call has left.
        goes_on: Whether another stage continues where it was ended; reaching the limit is then
            not a failure.
        timed: Whether it measures time or trains within a time, and so has the machine to itself;
            other stages run side by side.
    """

    number: str
    name: str
    about: str
    seconds: float
    command: Callable[[Job], list[str]]
    collect: Callable[[Job], dict[str, Any]]
    needs_images: bool = False
    takes_rest: bool = False
    goes_on: bool = False
    timed: bool = True

    @property
    def file(self) -> str:
        """Return the name of the file with its result."""
        return f'{self.number}_{self.name}.json'
