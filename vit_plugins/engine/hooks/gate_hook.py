"""The gates of a ConViT while it trains."""

from __future__ import annotations

from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models.inspection.gates import read_gates
from ...visualization.measured_history import GATES
from ..measuring_hook import MeasuringHook, Point


@HOOKS.register_module()
class GateHook(MeasuringHook):
    """Log the gates, attention centres and strengths of GPSA heads, and plot the gates' dynamics.

    As in Figs. 6 and 14 of `ConViT <https://arxiv.org/abs/2103.10697>`_: gate σ(λ), centre
    (w0, w1) / (-2 w2) and strength -w2 of each layer and head. They go to every backend of the
    visualizer and to ``gates.json`` and ``gates.png`` in the work dir. In a config::

        custom_hooks = [dict(type='GateHook')]

    Args:
        interval: Epochs, or iterations, between two measurements.
        by_epoch: Whether ``interval`` counts epochs.
    """

    name = GATES

    def measure(self, runner: Runner, model: BaseModel) -> Point:
        """Return the gates of the model.

        Args:
            runner: Unused.
            model: The model.

        Raises:
            NothingToReadError: If the model has no gates.
        """
        found = read_gates(model)
        return dict(
            layers=list(found.layers),
            gates=found.gates.tolist(),
            centres=found.centres.tolist(),
            strengths=found.strengths.tolist(),
        )

    def scalars(self, point: Point) -> dict[str, float]:
        """Return each gate and strength, and the mean gate of each layer.

        Args:
            point: The measured point.
        """
        numbers = {}
        for layer, gates, strengths in zip(
            point['layers'], point['gates'], point['strengths'], strict=True
        ):
            numbers[f'gate/{layer}/mean'] = sum(gates) / len(gates)
            for head, (gate, strength) in enumerate(zip(gates, strengths, strict=True), 1):
                numbers[f'gate/{layer}/head{head}'] = gate
                numbers[f'strength/{layer}/head{head}'] = strength
        return numbers
