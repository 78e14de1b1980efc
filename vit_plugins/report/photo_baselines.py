"""Score baselines without a network on the images of a training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..datasets.cached_images import uncached
from ..datasets.colour_histogram import colour_histograms
from ..datasets.image_folder import ImageFolder
from ..datasets.photo_decoding import UndecodableError
from ..datasets.photo_file import PhotoFileError
from ..datasets.readable_part import readable_part
from ..evaluation.functional.colour_baseline import colour_accuracy, majority_accuracy

SECONDS = 60.0
LARGEST = 'largest class'
COLOURS = 'colour histogram'


def photo_baselines(train: Any, test: Any, seconds: float = SECONDS) -> dict[str, float | str]:
    """Score the largest class, and trees on colour histograms, on the validation images.

    Args:
        train: The dataset to train on.
        test: The dataset to validate on.
        seconds: The time that reading the images and growing the trees may take.

    Returns:
        Percent by name, or the reason why there is none; empty for images that are not in class
        folders.
    """
    parts = [uncached(train), uncached(test)]
    if not all(isinstance(getattr(part, 'dataset', part), ImageFolder) for part in parts):
        return {}
    train, test = (readable_part(part, skip=True) for part in parts)
    labels, truth = (list(map(int, part.get_gt_labels())) for part in (train, test))
    found: dict[str, float | str] = {LARGEST: 100 * majority_accuracy(labels, truth)}
    deadline = time.monotonic() + seconds
    rows = []
    for part in (train, test):
        try:
            rows.append(colour_histograms(_paths(part), deadline))
        except (PhotoFileError, UndecodableError) as error:
            return {**found, COLOURS: f'not computed: {error}'}
        if rows[-1] is None:
            break
    else:
        accuracy = colour_accuracy(rows[0], labels, rows[1], truth, deadline)
        if accuracy is not None:
            return {**found, f'{COLOURS} + extra trees': 100 * accuracy}
    return {**found, COLOURS: f'not computed within {seconds:.0f} s'}


def _paths(dataset: Any) -> Sequence[str]:
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
