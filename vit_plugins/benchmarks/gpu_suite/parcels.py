"""Split a checkpoint into small parts, for a machine that returns only small files.

Weights are kept unchanged. The difference of their average from them and Adam's second moments
are kept in bfloat16, which is precise enough for both. Adam's first moments are left out, as they
cover only the last ten steps. A training that resumes from such a checkpoint is not bit-identical.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PART_BYTES = 15 * 2**20
AVERAGE = 'module.'  # the prefix of averaged weights


def pack(checkpoint: Path, target: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Write a checkpoint as parts ``TARGET.part0``, ``TARGET.part1``, …

    Args:
        checkpoint: A file of the runner, with Adam's state and perhaps averaged weights.
        target: The beginning of the names; parts of an earlier checkpoint are removed.
        part_bytes: The largest size of a part in bytes.

    Returns:
        The parts.
    """
    content = torch.load(checkpoint, map_location='cpu', weights_only=False)
    _shorten(content)
    stream = io.BytesIO()
    torch.save({'name': checkpoint.name, 'content': content}, stream)
    raw = stream.getbuffer()
    for old in find_parts(target):
        old.unlink()
    parts = []
    for number, start in enumerate(range(0, len(raw), part_bytes)):
        parts.append(target.with_name(f'{target.name}.part{number}'))
        parts[-1].parent.mkdir(parents=True, exist_ok=True)
        parts[-1].write_bytes(raw[start : start + part_bytes])
    return parts


def find_parts(target: Path) -> list[Path]:
    """Return the parts of a checkpoint in order.

    Args:
        target: As of :func:`pack`.
    """
    found = target.parent.glob(f'{target.name}.part*')
    return sorted(found, key=lambda path: int(path.suffix.removeprefix('.part')))


def unpack(target: Path, folder: Path) -> Path:
    """Write the checkpoint that its parts contain, so that a training can resume from it.

    Args:
        target: As of :func:`pack`.
        folder: The work dir of the training.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: If there are no parts.
    """
    parts = find_parts(target)
    if not parts:
        raise FileNotFoundError(
            f'there is no {target}.part0: run the stage that begins the training first, or bring '
            'the parts that it left'
        )
    raw = b''.join(part.read_bytes() for part in parts)
    saved = torch.load(io.BytesIO(raw), map_location='cpu', weights_only=False)
    _restore(saved['content'])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(saved['content'], folder / saved['name'])
    return folder / saved['name']


def _shorten(content: dict[str, Any]) -> None:
    weights, average = content['state_dict'], content.get('ema_state_dict', {})
    for name, value in average.items():
        other = weights.get(name.removeprefix(AVERAGE))
        if other is not None and value.is_floating_point():
            average[name] = (value - other).bfloat16()
    for state in _adam(content):
        state['exp_avg'] = None
        state['exp_avg_sq'] = state['exp_avg_sq'].bfloat16()


def _restore(content: dict[str, Any]) -> None:
    weights, average = content['state_dict'], content.get('ema_state_dict', {})
    for name, value in average.items():
        if value.dtype == torch.bfloat16:
            other = weights[name.removeprefix(AVERAGE)]
            average[name] = other + value.to(other.dtype)
    for state in _adam(content):
        state['exp_avg_sq'] = state['exp_avg_sq'].float()
        state['exp_avg'] = torch.zeros_like(state['exp_avg_sq'])


def _adam(content: dict[str, Any]) -> list[dict[str, Tensor]]:
    """Return the states of the parameters that have moments."""
    states = content['optimizer']['state'].values()
    return [state for state in states if 'exp_avg_sq' in state]
