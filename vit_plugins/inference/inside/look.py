"""What a picture of the inside of a model is, and what one may ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CENTRE, CLASS = 'centre', 'class'


@dataclass(frozen=True)
class Look:
    """A picture, the arrays that it shows, and what they say in a line."""

    figure: Figure
    arrays: dict[str, np.ndarray]
    words: str


@dataclass(frozen=True)
class Question:
    """What is asked of a model.

    Attributes:
        layer: Number of a layer, from 1; None is all layers, or the last where one is shown.
        head: Number of a head, from 1; None is all.
        query: Which token attends: ``'centre'``, ``'class'``, or (row, column) of a patch in the
            grid of the first layer, from 0.
        mode: How non-locality is measured, ``'propagated'`` or ``'official'``.
        target: Number of the class of GradCAM; None is the one that the model names.
        seed: Of pairs of patches and of t-SNE.
        classes: Names of the classes, for words.
    """

    layer: int | None = None
    head: int | None = None
    query: str | tuple[int, int] = CENTRE
    mode: str = 'propagated'
    target: int | None = None
    seed: int = 0
    classes: tuple[str, ...] = field(default=())

    def class_name(self, number: int) -> str:
        """Return the name of a class, or its number where names are not known.

        Args:
            number: Of the class.
        """
        return self.classes[number] if number < len(self.classes) else f'class {number}'


def choose(number: int | None, count: int, what: str) -> list[int]:
    """Return which of several are meant, counted from 0.

    Args:
        number: From 1; None is all.
        count: How many there are.
        what: What they are, for the message.

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
