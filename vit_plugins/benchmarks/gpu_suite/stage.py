"""What a stage of the suite is, and what it is given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a stage is given.

    Attributes:
        root: The checkout.
        out: Where results go that outlast the machine.
        work: A folder of the stage's own, for all else.
        images: CIFAR-10 as class folders, with ``train`` and ``test``.
        cache: Where decoded images are kept.
        device: 'cuda', or 'cpu' in a dry run.
        toy: Whether to do the least that shows that it runs.
        started: When the stage began, as of ``time.time()``.
        seconds: How long it may take.
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
            name: Of the tool, without '.py'.
        """
        return [sys.executable, str(self.root / 'tools' / f'{name}.py')]

    def module(self, name: str) -> list[str]:
        """Return the command that runs a module of the package.

        Args:
            name: Below ``vit_plugins``.
        """
        return [sys.executable, '-m', f'vit_plugins.{name}' if name else 'vit_plugins']


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        number: As on the command line, such as '4'.
        name: Of its files.
        about: What it tells.
        seconds: How long it may take.
        command: Returns what is run; it may write files into the job's work folder.
        collect: Returns what the command has found so far, also if it failed or was ended.
        needs_images: Whether it trains on CIFAR-10.
        takes_rest: Whether it uses all the time that the call has left.
        goes_on: Whether another stage goes on where it was ended: its limit is then no failure.
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

    @property
    def file(self) -> str:
        """The name of the file with its result."""
        return f'{self.number}_{self.name}.json'
