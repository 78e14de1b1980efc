"""Log how well a DRLoc head predicts offsets while it trains."""

from __future__ import annotations

from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...evaluation.functional.offset_errors import offset_errors
from ...models.inspection.offsets import predict_offsets
from ...visualization.measured_history import OFFSET_ERROR
from ..measuring_hook import MeasuringHook, Point, ValidationImages


@HOOKS.register_module()
class OffsetErrorHook(MeasuringHook):
    """Log the error of each axis of the offsets that :class:`DRLocHead` predicts, and plot it.

    It is the mean absolute error in cells of the grid, over random pairs of a few validation
    images; pairs and images are the same each time. It goes to every backend of the visualizer
    and to ``offset_error.json`` and ``.png`` in the work dir. In a config::

        custom_hooks = [dict(type='OffsetErrorHook')]

    Args:
        num_images: Validation images.
        num_pairs: Pairs of cells for each image.
        interval: Epochs, or iterations, between two measurements.
        by_epoch: Whether ``interval`` counts epochs.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = OFFSET_ERROR

    def __init__(
        self,
        num_images: int = 16,
        num_pairs: int = 128,
        interval: int = 1,
        by_epoch: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        if not num_pairs >= 1:
            raise ValueError(f'num_pairs must be 1 or more, got {num_pairs}')
        self.num_pairs = num_pairs
        self.images = ValidationImages(num_images)

    def measure(self, runner: Runner, model: BaseModel) -> Point:
        """Measure the errors.

        Args:
            runner: The runner with the validation images.
            model: The model.

        Raises:
            NothingToReadError: If the model has no DRLoc head.
        """
        found = predict_offsets(model, *self.images.load(runner, model), self.num_pairs)
        rows, columns = offset_errors(found.predicted, found.true).tolist()
        return dict(rows=rows, columns=columns)

    def scalars(self, point: Point) -> dict[str, float]:
        """Return the error of each axis.

        Args:
            point: The measured point.
        """
        return {f'{self.name}/{axis}': value for axis, value in point.items()}
