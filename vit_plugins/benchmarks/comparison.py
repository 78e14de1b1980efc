"""Several ways to compute the same, and the check that they do."""

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
        call: What is timed.
        outputs: Returns what must equal the outputs of the other sides; None for a limit, which
            computes something else of about the same cost.
        module: Its parameters are not counted among what a forward pass keeps.
        about: What a reader of the table should know.
    """

    call: Callable[[], Any]
    outputs: Callable[[], Sequence[Tensor]] | None = None
    module: nn.Module | None = None
    about: str = ''


@dataclass(frozen=True)
class Comparison:
    """What is measured in one process.

    Attributes:
        name: Of the case.
        sides: Name of each side to the side; the first is ours.
        tolerance: How large the norm of the difference of two outputs may be, over that of ours.
        keeps: The call whose kept activations are counted on each side, if any, by side.
        images: Images or queries of a call.
        missing: Name of each peer that is not there to the reason.
        held: What has to live as long as the calls do, such as a temporary folder.
    """

    name: str
    sides: dict[str, Side]
    tolerance: float
    keeps: dict[str, Callable[[], Any]] = field(default_factory=dict)
    images: int | None = None
    missing: dict[str, str] = field(default_factory=dict)
    held: Any = None


class OutputsDifferError(AssertionError):
    """Two sides do not compute the same: their times mean nothing."""


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Return ‖found - expected‖ / ‖expected‖ in float64.

    Args:
        found: A tensor.
        expected: Another of its shape.

    >>> relative_difference(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]))  # 0.5 / 5
    0.1
    """
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    scale = torch.linalg.vector_norm(expected).item()
    return torch.linalg.vector_norm(found - expected).item() / max(scale, 1e-30)


def check_equal_outputs(comparison: Comparison) -> dict[str, float]:
    """Check that all sides but the limits compute the same.

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
        if not differences[peer] <= comparison.tolerance:  # nor NaN
            raise OutputsDifferError(
                f'{comparison.name}: outputs of {peer} differ from those of {ours} by '
                f'{differences[peer]:.2g} of their norm, more than {comparison.tolerance:.2g}: '
                'their times are not comparable'
            )
    return differences
