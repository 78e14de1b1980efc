"""Compare several ways to compute the same, and check that their results are equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Side:
    """One way to compute something.

    Attributes:
        call: The call that is timed.
        outputs: Returns outputs that must equal those of the other sides; None for a limit, which
            computes something else of similar cost.
        module: A module whose parameters do not count as memory kept by a forward pass.
        about: A note for readers of the table.
    """

    call: Callable[[], Any]
    outputs: Callable[[], Sequence[Tensor]] | None = None
    module: nn.Module | None = None
    about: str = ''


@dataclass(frozen=True)
class Comparison:
    """The sides that are measured in one process.

    Attributes:
        name: The name of the case.
        sides: Name of each side to the side; the first is ours.
        tolerance: The largest norm of the difference of two outputs, relative to that of ours.
        keeps: Name of each side to the call whose kept activations are counted, if any.
        images: Number of images or queries in a call.
        missing: Name of each missing peer to the reason.
        held: An object that must live as long as the calls, such as a temporary folder.
        keeps_freed_memory: Whether all sides run in a process that keeps freed memory, as our
            commands do, see :mod:`~vit_plugins.host.memory_reuse`.
    """

    name: str
    sides: dict[str, Side]
    tolerance: float
    keeps: dict[str, Callable[[], Any]] = field(default_factory=dict)
    images: int | None = None
    missing: dict[str, str] = field(default_factory=dict)
    held: Any = None
    keeps_freed_memory: bool = False


class OutputsDifferError(AssertionError):
    """Two sides do not compute the same, so their times cannot be compared."""


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Return ‖found - expected‖ / ‖expected‖ in float64.

    Args:
        found: A tensor.
        expected: A tensor of the same shape.

    >>> relative_difference(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]))  # 0.5 / 5
    0.1
    """
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    scale = torch.linalg.vector_norm(expected).item()
    return torch.linalg.vector_norm(found - expected).item() / max(scale, 1e-30)


def check_equal_outputs(comparison: Comparison) -> dict[str, float]:
    """Check that all sides except the limits compute the same.

    Args:
        comparison: The sides.

    Returns:
        Name of each peer to its largest relative difference from ours.

    Raises:
        OutputsDifferError: If a difference is above the tolerance, or not a number.
    """
    checked = {name: side.outputs for name, side in comparison.sides.items() if side.outputs}
    ours, *peers = checked
    expected = [output.detach().clone() for output in checked[ours]()]
    differences = {}
    for peer in peers:
        found = checked[peer]()
        differences[peer] = max(
            relative_difference(a, b) for a, b in zip(found, expected, strict=True)
        )
        if not differences[peer] <= comparison.tolerance:  # also true for NaN
            raise OutputsDifferError(
                f'{comparison.name}: outputs of {peer} differ from those of {ours} by '
                f'{differences[peer]:.2g} of their norm, more than {comparison.tolerance:.2g}: '
                'their times are not comparable'
            )
    return differences
