"""Let a resumed training have its own length, and refuse other settings that it would ignore."""

from __future__ import annotations

from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..resumed_schedules import follow_new_length
from ..resumed_settings import changed_settings
from ..work_folder import WorkFolderError


@HOOKS.register_module()
class ResumedSettingsHook(Hook):
    """Stop a resumed training whose optimizer settings are not those of the checkpoint.

    The host loads learning rates, weight decay and betas with the state of the optimizer, so
    other values in the config, as by ``--lr``, would have no effect. It also loads the length of
    the schedules, so that more epochs than before would all run at the last learning rate. Here
    schedules of another length go on as if the training had been so long from the start. The
    tools here add this hook; for the host's own tools, name it in ``custom_hooks``.
    """

    def __repr__(self) -> str:
        return 'ResumedSettingsHook()'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare optimizer and schedules with those of the checkpoint.

        Args:
            runner: The runner.
            checkpoint: The checkpoint that was read; schedules of another length are replaced.

        Raises:
            WorkFolderError: If a setting differs, or ``EMAHook`` is not there any more.
        """
        saved = checkpoint.get('optimizer')
        wrapper = runner.optim_wrapper
        if not (runner._resume and isinstance(wrapper, OptimWrapper) and isinstance(saved, dict)):
            return
        if 'ema_state_dict' in checkpoint and not any(
            isinstance(h, EMAHook) for h in runner.hooks
        ):
            raise WorkFolderError(
                f'{runner._load_from} is of a training with EMAHook, and this one has none: it '
                'would train on from the averaged weights. Name the hook in custom_hooks as '
                f'before. {_CURE}'
            )
        before, now = saved.get('param_groups', []), wrapper.optimizer.param_groups
        if len(before) != len(now):
            raise WorkFolderError(
                f'{runner._load_from} has {len(before)} groups of parameters in its optimizer, '
                f'and this training has {len(now)}: other layers are frozen, or have a rate of '
                f'their own. {_CURE}'
            )
        for old, new in zip(before, now, strict=True):
            if changed := changed_settings(old, new):
                told = ', '.join(f'{k} was {a} and is {b}' for k, (a, b) in changed.items())
                raise WorkFolderError(
                    f'A resumed training keeps the optimizer settings of {runner._load_from}, so '
                    f'others would have no effect: {told}. {_CURE}'
                )
        if line := follow_new_length(runner, checkpoint):
            runner.logger.info(line)


_CURE = (
    'Resume with the former settings (--lr for the rate, if another --batch-size or number of '
    'ranks changed it), or begin a new run from these weights with --cfg-options load_from=FILE'
)
