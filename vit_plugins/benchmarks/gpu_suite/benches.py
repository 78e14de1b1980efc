"""Stages of ``vit-plugins bench``: each case that has ended counts, also if the stage is ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..command import find_cases
from .stage import Job

TOY = ('--size', 'toy', '--turn', '0.01', '--rounds', '2')


@dataclass(frozen=True)
class Bench:
    """The cases of one stage.

    Attributes:
        parts: The parts of the benchmark, the most wanted first.
        options: Options on a GPU, instead of those of a dry run.
        size: The size on a GPU.
        only: A text in the names of the cases on a GPU.
        compiled: Whether modules go through ``torch.compile``.
    """

    parts: tuple[str, ...]
    options: tuple[str, ...] = ()
    size: str = 'gpu'
    only: str = ''
    compiled: bool = False

    def command(self, job: Job) -> list[str]:
        """Return the command that measures the cases.

        Args:
            job: The job of the stage.
        """
        only = ['--only', self.only] if self.only else []
        real = ['--size', self.size, *only, *self.options]
        return [
            *(*job.module(''), 'bench', *self.parts, '--device', job.device),
            *(TOY if job.toy else real),
            *(['--compile'] if self.compiled else []),
            *('--json', str(job.work / 'bench.json')),
        ]

    def collect(self, job: Job) -> dict[str, Any]:
        """Return what was measured so far, with the names of whole and of missing cases.

        Args:
            job: The job of the stage.
        """
        report = json.loads((job.work / 'bench.json').read_text())
        wanted = find_cases(self.parts, *(('toy',) if job.toy else (self.size, self.only)))
        whole = [row['case'] for row in report['cases'] if 'error' not in row]
        missing = [case for _, case in wanted if case not in whole]
        return {'whole': whole, 'missing': missing, **report}
