"""How far one comes without a network, on the images of a training."""

from __future__ import annotations

import time

from mmengine.runner import Runner

from ..datasets.cached_images import uncached
from ..datasets.colour_histogram import colour_histograms
from ..datasets.image_folder import ImageFolder
from ..evaluation.functional.colour_baseline import colour_accuracy, majority_accuracy

SECONDS = 60.0


def photo_baselines(runner: Runner, seconds: float = SECONDS) -> dict[str, float | str]:
    """Score the largest class, and trees on colour histograms, on the validation images.

    Args:
        runner: The runner of a training.
        seconds: The time that reading the images may take.

    Returns:
        Percent by name, or why there is none; nothing of images that are no class folders.
    """
    train = uncached(runner.train_loop.dataloader.dataset)
    test = uncached(runner.val_loop.dataloader.dataset)
    if not (isinstance(train, ImageFolder) and isinstance(test, ImageFolder)):
        return {}
    labels, truth = (list(map(int, part.get_gt_labels())) for part in (train, test))
    found: dict[str, float | str] = {'largest class': 100 * majority_accuracy(labels, truth)}
    deadline = time.monotonic() + seconds
    rows = []
    for part in (train, test):
        paths = [part.get_data_info(i)['img_path'] for i in range(len(part))]
        rows.append(colour_histograms(paths, deadline))
        if rows[-1] is None:
            return {**found, 'colour histogram': f'not computed within {seconds:.0f} s'}
    accuracy = colour_accuracy(rows[0], labels, rows[1], truth)
    return {**found, 'colour histogram + extra trees': 100 * accuracy}
