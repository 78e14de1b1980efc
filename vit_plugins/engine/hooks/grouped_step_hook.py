"""Join the parameters with equal settings in the step of an optimizer."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.optim import Optimizer

from ..grouped_step import can_join_groups, join_groups_in_step, joined_groups


@HOOKS.register_module()
class GroupedStepHook(Hook):
    """Join parameter groups with equal settings during the step of the optimizer.

    With ``paramwise_cfg`` the host makes one group for each parameter. On a GPU, torch starts some
    kernels for each group, and a small model waits for them longer than they compute. Here the
    groups with equal settings are one while the optimizer computes, which gives the same weights.
    At any other time the groups are as they were, for schedules, logs and checkpoints.

    This applies to the optimizers of torch that have the setting ``foreach``, such as AdamW and
    SGD; others are left alone. The GPU needs more memory during the step: about the size of all
    parameters, as in torch without ``paramwise_cfg``; ``fused=True`` in the optimizer avoids that.

    Every training of ``tools/train.py`` has the hook; ``default_hooks.grouped_step=None`` switches
    it off. For a config of your own, with the host's tools::

        custom_hooks = [dict(type='GroupedStepHook')]

    Args:
        on_cpu: Whether parameters on a CPU are joined too, where little is gained.
    """

    def __init__(self, on_cpu: bool = False) -> None:
        self.on_cpu = on_cpu

    def before_train(self, runner: Runner) -> None:
        """Replace the step of each optimizer that gains by it.

        Args:
            runner: The runner.
        """
        for optimizer in _optimizers(runner.optim_wrapper):
            if can_join_groups(optimizer) and (self.on_cpu or not _is_on_cpu(optimizer)):
                join_groups_in_step(optimizer)
                groups = optimizer.param_groups
                runner.logger.info(
                    f'{type(optimizer).__name__} computes its {len(groups)} parameter groups as '
                    f'{len(joined_groups(groups, optimizer.defaults))}, of equal settings'
                )


def _optimizers(wrapper: OptimWrapper | OptimWrapperDict) -> list[Optimizer]:
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return [one.optimizer for one in wrappers]


def _is_on_cpu(optimizer: Optimizer) -> bool:
    return any(p.device.type == 'cpu' for group in optimizer.param_groups for p in group['params'])
