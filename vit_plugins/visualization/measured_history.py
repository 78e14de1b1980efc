"""Read the measurements of a training's hooks from its work dir, and plot them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .gates import plot_gate_dynamics
from .layer_panels import short_name
from .locality import plot_nonlocality_dynamics
from .offsets import plot_offset_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GATES, NONLOCALITY, OFFSET_ERROR = 'gates', 'nonlocality', 'offset_error'


@dataclass(frozen=True)
class History:
    """The measurements of one hook in one training.

    Attributes:
        counted: The unit of a step, ``'epoch'`` or ``'iteration'``.
        points: The measurements, each with its ``step``.
    """

    counted: str
    points: Sequence[Mapping[str, Any]]

    @property
    def steps(self) -> list[int]:
        """The steps at which the hook measured."""
        return [point['step'] for point in self.points]

    def values(self, key: str) -> list[Any]:
        """Return one quantity of all measurements.

        Args:
            key: The name of the quantity.
        """
        return [point[key] for point in self.points]

    def layer_means(self) -> np.ndarray:
        """Return the non-locality of each layer as the mean of its heads, shape (E, L)."""
        layers = self.values(NONLOCALITY)
        return np.array([[np.mean(np.array(h, float)) for h in found] for found in layers])


def nonlocality_name(mode: str) -> str:
    """Return the name of a history of non-locality; each mode has its own.

    Args:
        mode: ``'propagated'`` or ``'official'``.
    """
    return f'{NONLOCALITY}_{mode}'


def read_histories(work_dir: str | Path) -> dict[str, History]:
    """Read the measurements of a training's hooks.

    Args:
        work_dir: The work dir.

    Returns:
        The histories by name; none if no hook measured.
    """
    modes = (nonlocality_name('propagated'), nonlocality_name('official'))
    found = {}
    for name in (GATES, *modes, OFFSET_ERROR):
        path = Path(work_dir, f'{name}.json')
        if path.is_file():
            found[name] = History(**json.loads(path.read_text(encoding='utf-8')))
    return found


def plot_history(name: str, histories: Mapping[str, History]) -> Figure:
    """Plot the measurements of one type of hook.

    Args:
        name: The name of the history, as :func:`read_histories` returns it.
        histories: Histories by the name of a training. Non-locality of several trainings is shown
            side by side; for other quantities only the first training is shown.
    """
    first = next(iter(histories.values()))
    if name == GATES:
        layers = [short_name(name) for name in first.points[-1]['layers']]
        return plot_gate_dynamics(first.steps, first.values('gates'), layers, first.counted)
    if name == OFFSET_ERROR:
        errors = np.array([first.values('rows'), first.values('columns')]).T  # (E, 2)
        return plot_offset_errors(first.steps, errors, first.counted)
    curves = {model: (found.steps, found.layer_means()) for model, found in histories.items()}
    uniform = {value for history in histories.values() for value in history.points[-1]['uniform']}
    everywhere = uniform.pop() if len(uniform) == 1 else None
    mode = name.removeprefix(f'{NONLOCALITY}_')
    return plot_nonlocality_dynamics(curves, mode, everywhere, first.counted)
