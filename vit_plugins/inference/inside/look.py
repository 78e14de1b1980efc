"""Types for pictures of the inside of a model, and for what a user asks to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CENTRE, CLASS = 'centre', 'class'


@dataclass(frozen=True)
class Look:
    """A picture, the arrays that it shows, and a line of text that sums them up."""

    figure: Figure
    arrays: dict[str, np.ndarray]
    words: str


@dataclass(frozen=True)
class Question:
    """What a user asks to see of a model.

    Attributes:
        layer: Number of a layer, from 1; None is all layers, or the last where one is shown.
        head: Number of a head, from 1; None is all.
        query: Which token attends: ``'centre'``, ``'class'``, or (row, column) of a patch in the
            grid of the first layer, from 0.
        mode: How non-locality is measured: ``'propagated'`` or ``'official'``.
        target: Number of the class of GradCAM; None takes the class that the model predicts.
        seed: The seed of pairs of patches and of t-SNE.
        classes: Names of the classes, for texts.
    """

    layer: int | None = None
    head: int | None = None
    query: str | tuple[int, int] = CENTRE
    mode: str = 'propagated'
    target: int | None = None
    seed: int = 0
    classes: tuple[str, ...] = field(default=())

    def class_name(self, number: int) -> str:
        """Return the name of a class, or its number if the names are not known.

        Args:
            number: The number of the class.
        """
        return self.classes[number] if number < len(self.classes) else f'class {number}'


def choose(number: int | None, count: int, what: str) -> list[int]:
    """Return the indices, counted from 0, of the layers or heads that are meant.

    Args:
        number: From 1; None is all.
        count: How many there are.
        what: What they are called in the message.

    Raises:
        ValueError: If there is no such number.

    >>> choose(None, 3, 'layer'), choose(2, 3, 'layer')
    ([0, 1, 2], [1])
    """
    if number is None:
        return list(range(count))
    if not 1 <= number <= count:
        raise ValueError(f'there is no {what} {number}: {what}s are counted from 1 to {count}')
    return [number - 1]
