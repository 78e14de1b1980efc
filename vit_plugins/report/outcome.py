"""The outcome of a classifier's training, kept as JSON and written as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..evaluation.functional.confusion import format_scores
from ..fileio.printable_text import listed

FILE = 'outcome.json'

FEW = 20  # training images of a class: with fewer, little can be learnt
FEW_VALIDATED = 10  # validation images of a class: with fewer, its accuracy says little
UNEVEN = 5  # images in the largest class, divided by those in the smallest
GAP = 15  # points between training and validation accuracy


@dataclass(frozen=True)
class Outcome:
    """The outcome of a classifier's training.

    Attributes:
        epoch: The best epoch, or the best step if steps are counted.
        unit: 'epoch' or 'step'.
        confusion: Counts of its validation, (K, K): images of class i that are predicted as j.
        classes: The K classes.
        train_counts: Training images of each class; empty if unknown.
        train_accuracy: Percent, on training images without augmentation at the end.
        last_accuracy: Percent, in the validation at the end.
        baselines: Accuracies in percent by name.
        frozen: Whether only a classifier on frozen features was fitted.
    """

    epoch: int
    unit: str
    confusion: np.ndarray
    classes: Sequence[str]
    train_counts: Sequence[int] = ()
    train_accuracy: float | None = None
    last_accuracy: float | None = None
    baselines: Mapping[str, float | str] | None = None
    frozen: bool = False


def write_outcome(folder: str | Path, outcome: Outcome) -> None:
    """Write an outcome into a work dir.

    Args:
        folder: The work dir.
        outcome: The outcome of the training.
    """
    content = {**asdict(outcome), 'confusion': outcome.confusion.tolist()}
    Path(folder, FILE).write_text(json.dumps(content), encoding='utf-8')


def read_outcome(folder: str | Path) -> Outcome | None:
    """Read the outcome of a training.

    Args:
        folder: Its work dir.

    Returns:
        The outcome; None if there is none that can be read.
    """
    try:
        content = json.loads(Path(folder, FILE).read_text(encoding='utf-8'))
        return Outcome(**{**content, 'confusion': np.asarray(content['confusion'])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def report(outcome: Outcome) -> Iterator[str]:
    """Write the outcome: the best validation, class by class, baselines and warnings.

    Args:
        outcome: The outcome of the training.
    """
    yield f'Best {outcome.unit}: {outcome.epoch}. On the validation images:'
    yield from format_scores(outcome.confusion, outcome.classes)
    if outcome.baselines:
        told = [
            f'{name} {value:.1f} %' if isinstance(value, float) else f'{name} {value}'
            for name, value in outcome.baselines.items()
        ]
        yield f'without a network, on the same images: {", ".join(told)}'
        best = max((v for v in outcome.baselines.values() if isinstance(v, float)), default=0.0)
        accuracy = 100 * np.trace(outcome.confusion) / outcome.confusion.sum()
        if accuracy <= best and accuracy < 100:
            longer = '' if outcome.frozen else 'train longer (--epochs, --time-limit), '
            yield (
                f'the network is not better than that: {longer}take larger images (--img-size) '
                'or other weights (--pretrained)'
            )
    for line in warnings(outcome):
        yield f'note: {line}'


def warnings(outcome: Outcome) -> Iterator[str]:
    """Return warnings about what makes the numbers doubtful, or keeps them low.

    Args:
        outcome: The outcome of the training.
    """
    counts = dict(zip(outcome.classes, outcome.train_counts, strict=False))
    if few := [name for name, n in counts.items() if n < FEW]:
        yield f'fewer than {FEW} training images in {listed(few, most=5)}: add images'
    if counts and max(counts.values()) > UNEVEN * min(counts.values()):
        yield (
            f'the largest class has {max(counts.values())} training images and the smallest '
            f'{min(counts.values())}: --balance {"loss" if outcome.frozen else "sampler or loss"} '
            'gives rare classes more weight'
        )
    validated = outcome.confusion.sum(axis=1)
    few = [name for name, n in zip(outcome.classes, validated, strict=True) if n < FEW_VALIDATED]
    if few:
        names = listed(few, most=5)
        yield f'fewer than {FEW_VALIDATED} validation images in {names}: see the intervals'
    if outcome.train_accuracy is None or outcome.last_accuracy is None or outcome.frozen:
        return  # a linear layer on many features knows few images by heart, as it should
    if outcome.train_accuracy - outcome.last_accuracy > GAP:
        yield (
            f'at the end {outcome.train_accuracy:.1f} % of the training images are right and '
            f'{outcome.last_accuracy:.1f} % of the others: the model knows its images by heart; '
            'more images, more augmentation or pretrained weights help'
        )
