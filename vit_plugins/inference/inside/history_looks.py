"""Pictures of the histories that the measuring hooks of a training wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...models.inspection.attention_maps import NothingToReadError
from ...visualization.measured_history import (
    GATES,
    OFFSET_ERROR,
    History,
    plot_history,
    read_histories,
)
from .look import Look


def look_at_histories(work_dir: Path, beside: Sequence[Path] = ()) -> Iterator[tuple[str, Look]]:
    """Plot the histories of gates, non-locality and offset errors, with names for their files.

    Args:
        work_dir: The work dir of a training.
        beside: Work dirs of other trainings, whose non-locality is shown side by side.

    Raises:
        NothingToReadError: If no hook measured.
        ValueError: If a training to show beside was not measured in the same way.
    """
    own = read_histories(work_dir)
    if not own:
        raise NothingToReadError(
            f'{work_dir} has no history: GateHook, LocalityHook and OffsetErrorHook in '
            'custom_hooks write one while a model trains'
        )
    others = {folder: read_histories(folder) for folder in beside}
    names = distinct_names([work_dir, *beside])
    for name, history in own.items():
        found = [history]
        if name not in (GATES, OFFSET_ERROR):
            found += [_same(others[folder], name, folder) for folder in beside]
        shown = dict(zip(names, found, strict=False))
        words = f'{len(history.points)} measurements up to {history.counted} {history.steps[-1]}'
        yield f'history_{name}', Look(plot_history(name, shown), arrays_of(name, history), words)


def _same(found: dict[str, History], name: str, folder: Path) -> History:
    if name not in found:
        raise ValueError(
            f'{folder} has no {name}.json to show beside: train it with the same LocalityHook'
        )
    return found[name]


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return a short name for each folder: the parts of its path in which they differ.

    Args:
        folders: The folders.

    >>> distinct_names([Path('runs/convit/seed0'), Path('runs/vit/seed0')])
    ['convit', 'vit']
    >>> distinct_names([Path('runs/convit')])
    ['convit']
    """
    parts = [folder.absolute().parts for folder in folders]
    if len(set(parts)) == 1:
        return [folder.name for folder in folders]
    for place, kept in ((-1, slice(None, -1)), (0, slice(1, None))):
        while min(map(len, parts)) > 1 and len({found[place] for found in parts}) == 1:
            parts = [found[kept] for found in parts]
    return ['/'.join(found) for found in parts]


def arrays_of(name: str, history: History) -> dict[str, np.ndarray]:
    """Return a history as arrays: the steps (E,) and the measurements at these steps.

    Args:
        name: The name of the history.
        history: The history.
    """
    arrays = {'steps': np.array(history.steps)}
    if name == GATES:
        keys = ('gates', 'centres', 'strengths')
    elif name == OFFSET_ERROR:
        keys = ('rows', 'columns')
    else:
        arrays['nonlocality'] = history.layer_means()
        keys = ()
    return arrays | {key: np.array(history.values(key), dtype=float) for key in keys}
