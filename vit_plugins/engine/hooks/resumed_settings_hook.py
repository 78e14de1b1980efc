"""Check length, rate and weight decay of a resumed training, which follows those it is given."""

from __future__ import annotations

from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..resumed_schedules import follow_new_length
from ..resumed_settings import told_changes
from ..work_folder import WorkFolderError
from .time_budget_hook import POSITION, TimeBudgetHook


@HOOKS.register_module()
class ResumedSettingsHook(Hook):
    """Check the settings of a resumed training: it follows new ones, and logs what has changed.

    The host loads learning rates, weight decay and betas with the state of the optimizer, so
    other values in the config, as by ``--lr`` or by another number of ranks, would have no
    effect. It also loads the length of the schedules, so that more epochs than before would all
    run at the last learning rate. Here settings and schedules go on as if they had been so from
    the start. This also holds after a training whose schedules a ``TimeBudgetHook`` advanced
    faster, if that hook is not there any more. The tools here add this hook; for the host's own
    tools, name it in ``custom_hooks``. Several optimizers (``OptimWrapperDict``) keep the
    settings of the checkpoint, and the log says so.
    """

    def __repr__(self) -> str:
        return 'ResumedSettingsHook()'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare optimizer and schedules with those of the checkpoint.

        Args:
            runner: The runner.
            checkpoint: The checkpoint that was read; settings and schedules that differ are
                replaced.

        Raises:
            WorkFolderError: If the optimizer has other groups of parameters, ``EMAHook`` is not
                there any more, or a setting differs while a schedule waits for scores.
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
        if isinstance(wrapper, OptimWrapperDict):
            runner.logger.warning(
                f'The settings and schedules of the {len(wrapper)} optimizers are those of '
                f'{runner._load_from}; if this training has others, they have no effect'
            )
            return
        before, now = saved.get('param_groups', []), wrapper.optimizer.param_groups
        if len(before) != len(now):
            raise WorkFolderError(
                f'{runner._load_from} has {len(before)} groups of parameters in its optimizer, '
                f'and this training has {len(now)}: other layers are frozen, or have a rate of '
                f'their own. {_CURE}'
            )
        told = told_changes(before, now)
        ahead = _is_ahead(runner, checkpoint)
        if ahead:
            told.append('a time limit (TimeBudgetHook) was in use and is not')
        line = follow_new_length(runner, checkpoint, always=bool(told), ahead=ahead)
        if told and not line:
            raise WorkFolderError(
                f'The schedules are not those of {runner._load_from}, or wait for scores, so '
                f'other settings would have no effect: {", ".join(told)}. {_CURE}'
            )
        if told:
            runner.logger.info(f'The settings are not those of the checkpoint: {", ".join(told)}')
        if line:
            runner.logger.info(line)


def _is_ahead(runner: Runner, checkpoint: dict) -> bool:
    """Return whether a time budget that is gone has advanced the schedules; forget it."""
    hub = checkpoint.get('message_hub')
    info = hub.get('runtime_info', {}) if isinstance(hub, dict) else {}
    if POSITION not in info or any(isinstance(hook, TimeBudgetHook) for hook in runner.hooks):
        return False
    hub.get('resumed_keys', {}).pop(POSITION, None)
    position = info.pop(POSITION)  # a later budget begins where the training is then
    return bool(checkpoint.get('param_schedulers')) and position > checkpoint['meta']['iter']


_CURE = (
    'Resume with the former settings, or begin a new run from these weights with '
    '--cfg-options load_from=FILE'
)
