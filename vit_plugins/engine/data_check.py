"""Check the images before a run, so that it does not fail half-way."""

from collections.abc import Iterable
from typing import Any

from mmengine.runner.base_loop import BaseLoop


def check_images(parts: Iterable[Any], dataset: Any) -> None:
    """Check that a dataset has what metrics or modules need.

    Args:
        parts: Any objects; ``check_dataset(dataset)`` is called on those that have it.
        dataset: The dataset that they will use.

    Raises:
        UnfitDataError: If one of them cannot use it.
    """
    for part in parts:
        if hasattr(part, 'check_dataset'):
            part.check_dataset(dataset)


def check_scored_images(loop: BaseLoop | None) -> None:
    """Check that the metrics of a validation or test can score its images.

    Args:
        loop: The loop; None for no validation.

    Raises:
        UnfitDataError: If a metric cannot score them.
    """
    if loop is not None:
        check_images(getattr(loop.evaluator, 'metrics', ()), loop.dataloader.dataset)
