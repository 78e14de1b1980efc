"""Log how far the heads of a transformer look while it trains."""

from __future__ import annotations

from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models.inspection.locality import MODES, measure_locality
from ...visualization.measured_history import nonlocality_name
from ..measuring_hook import MeasuringHook, Point, ValidationImages


@HOOKS.register_module()
class LocalityHook(MeasuringHook):
    """Log the non-locality of each layer and head on a few validation images, and plot it.

    Eq. 8 and Fig. 5 of `ConViT <https://arxiv.org/abs/2103.10697>`_, for GPSA and for plain
    attention, Swin and CvT, together with the distance in pixels as ViT reports it. The values
    go to every backend of the visualizer and to ``nonlocality_<mode>.json`` and ``.png`` in the
    work dir. In a config::

        custom_hooks = [dict(type='LocalityHook')]

    Args:
        mode: The input of each layer: with ``'propagated'`` the output of the layers before it;
            with ``'official'`` the patch embedding, as in ConViT's released code. Each mode has
            its own history; the two are never compared.
        num_images: Number of validation images, which are the same each time.
        interval: Epochs, or iterations, between two measurements.
        by_epoch: Whether ``interval`` counts epochs.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        mode: str = 'propagated',
        num_images: int = 8,
        interval: int = 1,
        by_epoch: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        if mode not in MODES:
            raise ValueError(f'mode must be one of {", ".join(MODES)}, got {mode!r}')
        self.mode = mode
        self.name = nonlocality_name(mode)
        self.images = ValidationImages(num_images)

    def measure(self, runner: Runner, model: BaseModel) -> Point:
        """Measure non-locality and distances.

        Args:
            runner: The runner with the validation images.
            model: The model.

        Raises:
            NothingToReadError: If the model has no attention that can be read in this mode.
        """
        inputs, _ = self.images.load(runner, model)
        found = measure_locality(model, inputs, self.mode)
        return dict(
            layers=list(found.layers),
            uniform=list(found.uniform),
            nonlocality=[heads.tolist() for heads in found.nonlocality],
            pixels=[heads.tolist() for heads in found.pixels],
        )

    def scalars(self, point: Point) -> dict[str, float]:
        """Return the non-locality of each head and the mean of each layer.

        Args:
            point: The measured point.
        """
        numbers = {}
        for layer, heads in zip(point['layers'], point['nonlocality'], strict=True):
            numbers[f'{self.name}/{layer}/mean'] = sum(heads) / len(heads)
            numbers |= {f'{self.name}/{layer}/head{n}': v for n, v in enumerate(heads, 1)}
        return numbers
