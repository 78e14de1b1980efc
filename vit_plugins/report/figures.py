"""Photos with lines of text, as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .findings import Findings
from .thumbnails import Thumbnail, thumbnail

SIDE = 160
NO_BREAK = '\u00a0'


@dataclass(frozen=True)
class Figure:
    """A photo with lines of text.

    Attributes:
        thumb: The photo.
        name: Its name.
        lines: The lines of text.
        state: ``'right'``, ``'wrong'`` or ``''``, for its frame.
    """

    thumb: Thumbnail
    name: str
    lines: tuple[str, ...]
    state: str = ''


def answer_figure(
    found: Findings, index: int, classes: Sequence[str], thumb: Thumbnail | None = None
) -> Figure:
    """Return an image with its label and its prediction.

    Args:
        found: The findings about the training.
        index: The index of the validation image.
        classes: The names of the classes.
        thumb: The small picture that is shown for the image.
    """
    said, image = found.predictions, found.images[index]
    label, named = int(said.labels[index]), int(said.named[index])
    lines = [f'label {classes[label]}: {_percent(said.probabilities[index, label])}']
    if label == named:
        lines = [f'{classes[label]}: {_percent(said.confidence[index])}']
    else:
        lines.append(f'named {classes[named]}: {_percent(said.confidence[index])}')
    state = 'right' if label == named else 'wrong'
    return Figure(thumb or thumbnail(image, SIDE), image.name, tuple(lines), state)


def _percent(value: float) -> str:
    """Return a probability in percent; only 1 is written as 100."""
    shown = f'{100 * value:.0f}'
    return f'{"> 99" if shown == "100" and value < 1 else shown}{NO_BREAK}%'
