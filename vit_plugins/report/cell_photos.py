"""Collect the photos that cells of confusion matrices open, as data for the page's script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from .findings import Findings
from .predictions import Predictions
from .shown_images import ShownImage
from .thumbnails import thumbnails_within

MOST = 4000  # photos that are decoded; of more, those classified correctly are left out first


def cell_photos(runs: Sequence[Findings], budget: int) -> dict[str, Any]:
    """Return the photos of all classifiers, each picture once.

    Args:
        runs: The trainings.
        budget: Bytes that all pictures may take.

    Returns:
        ``images``: name, address, width and height of each picture. ``runs``: for each training,
        a row per photo with the number of its picture (-1 for none), its name if it has no
        picture, its label, its predicted class and the probabilities of both in thousandths.
    """
    ranked = [_ranked(found) for found in runs]
    wanted = [image for image in chain(*zip_longest(*ranked)) if image is not None]
    made = thumbnails_within(list({i.key: i for i in wanted}.values())[:MOST], budget)
    numbers = {key: number for number, key in enumerate(made)}
    names = {image.key: image.name for image in wanted}
    images = [
        [names[key], thumb.address, thumb.width, thumb.height] for key, thumb in made.items()
    ]
    return {'images': images, 'runs': [_rows(found, numbers) for found in runs]}


def _ranked(found: Findings) -> list[ShownImage]:
    if found.predictions is None:
        return []
    return [found.images[i] for i in importance(found.predictions)]


def importance(said: Predictions) -> Iterator[int]:
    """Return the images, the most interesting ones first.

    Mistakes come first, the most confident ones before others. Then come images that are
    classified correctly, one of each class in turn, the least confident ones before others.

    Args:
        said: The predictions of a classifier for the images.
    """
    yield from said.sure_mistakes.tolist()
    right = np.flatnonzero(said.right)
    right = right[np.argsort(said.confidence[right], kind='stable')]
    by_class = [right[said.labels[right] == label] for label in np.unique(said.labels)]
    for turn in zip_longest(*(group.tolist() for group in by_class)):
        yield from (index for index in turn if index is not None)


def _rows(found: Findings, numbers: dict[str, int]) -> list[list[Any]]:
    said = found.predictions
    if said is None:
        return []
    rows = []
    for index in importance(said):
        image, label, named = found.images[index], said.labels[index], said.named[index]
        chances = (said.probabilities[index, i] for i in (label, named))
        rows.append(
            [numbers.get(image.key, -1), int(label), int(named)]
            + [round(1000 * float(chance)) for chance in chances]
        )
    return rows
