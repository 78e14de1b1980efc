"""Have those who will use images look at them before a run, instead of failing in its midst."""

from collections.abc import Iterable
from typing import Any

from mmengine.runner.base_loop import BaseLoop


def check_images(parts: Iterable[Any], dataset: Any) -> None:
    """Check a dataset by the metrics or modules that say what they need.

    Args:
        parts: Any objects; those with a ``check_dataset(dataset)`` are asked.
        dataset: What they will be given.

    Raises:
        UnfitDataError: If one of them cannot use it.
    """
    for part in parts:
        if hasattr(part, 'check_dataset'):
            part.check_dataset(dataset)


def check_scored_images(loop: BaseLoop | None) -> None:
    """Check the images of a validation or test by its metrics.

    Args:
        loop: The loop; None for no validation.

    Raises:
        UnfitDataError: If a metric cannot score them.
    """
    if loop is not None:
        check_images(getattr(loop.evaluator, 'metrics', ()), loop.dataloader.dataset)
