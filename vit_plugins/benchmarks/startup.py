"""Time the start, the help and the import, in fresh Python processes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from .comparison import Comparison, Side
from .setting import Setting

# name: our command, the command to compare with, the description of the latter
STARTS = {
    'vit-plugins --help': (
        ['-m', 'vit_plugins', '--help'],
        ['-c', 'pass'],
        'python alone, with nothing imported',
    ),
    'vit-plugins train --help': (
        ['-m', 'vit_plugins', 'train', '--help'],
        ['-c', 'pass'],
        'python alone, with nothing imported',
    ),
    'import vit_plugins': (
        ['-c', 'import vit_plugins'],
        ['-c', 'from mmpretrain.utils import register_all_modules; register_all_modules()'],
        'the host, with its modules registered',
    ),
}


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`; 'toy' leaves out cases that import torch.
    """
    names = list(STARTS)[: 2 if size == 'toy' else None]
    return {name: dict(start=name) for name in names}


def build(setting: Setting, *, start: str) -> Comparison:
    """Return the processes; each call starts one and waits for its end.

    Args:
        setting: Not used.
        start: One of ``STARTS``.
    """
    ours, other, about = STARTS[start]
    sides = {
        'ours': Side(lambda: _run(ours), lambda: []),
        'other': Side(lambda: _run(other), about=about),
    }
    return Comparison(start, sides, tolerance=0.0)


def _run(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
