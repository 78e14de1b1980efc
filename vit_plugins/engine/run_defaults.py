"""Set in a config what it leaves open: dataloader options, hooks of every run, mixed precision."""

from collections.abc import Iterable

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.logging import print_log

from ..config_edits.component_arguments import HOST_HOOKS
from ..config_edits.walking import component_names, walk

# The hooks of every run of ours, by their names among the default hooks.
OWN_HOOKS = {
    'seeded_draws': 'SeededDrawsHook',
    'training_guard': 'TrainingGuardHook',
    'grouped_step': 'GroupedStepHook',
}


def set_loader_defaults(
    cfg: Config, splits: Iterable[str], pin_memory: bool = True, persistent_workers: bool = True
) -> None:
    """Set options that a config's dataloaders leave open, as far as the machine can use them.

    Args:
        cfg: The config; its dataloaders are edited. An option that a dataloader sets itself
            stays, unless the argument here is False.
        splits: Which of ``'train'``, ``'val'``, ``'test'``.
        pin_memory: False switches it off; it is off without a GPU anyway.
        persistent_workers: False switches it off; it is off without workers anyway.
    """
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        loader.setdefault('collate_fn', ConfigDict(type='default_collate'))
        loader.setdefault('pin_memory', get_device() != 'cpu')
        loader.setdefault('persistent_workers', True)
        # GPU memory, where CachedImages may keep its images, cannot be pinned
        loader.pin_memory &= pin_memory and not _is_on_gpu(loader.get('dataset', {}))
        loader.persistent_workers &= persistent_workers and loader.get('num_workers', 0) > 0


def default_hooks_of(cfg: Config) -> ConfigDict:
    """Return the default hooks of a config, to be edited.

    Args:
        cfg: The config; it gets an empty ``default_hooks`` if it has none.
    """
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = {}  # `setdefault` would return another dict than the config keeps
    return cfg.default_hooks


def add_own_hooks(cfg: Config) -> None:
    """Add the hooks of every run of ours that the config does not name.

    Args:
        cfg: The config; ``default_hooks`` is edited. A hook that the config names stays as it
            is, also if it is None, which switches the hook off.
    """
    hooks = default_hooks_of(cfg)
    listed = [*hooks.values(), *(cfg.get('custom_hooks') or [])]
    kinds = component_names(listed)
    for name, kind in OWN_HOOKS.items():
        if name not in hooks and kind not in kinds:
            hooks[name] = dict(type=kind)


def drop_hooks_that_are_off(cfg: Config) -> None:
    """Remove default hooks that are None; the host allows None only for its own hooks.

    Args:
        cfg: The complete config; ``default_hooks`` is edited.
    """
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in HOST_HOOKS:
            del hooks[name]


def _is_on_gpu(dataset: dict) -> bool:
    return any(str(node.get('device', 'cpu')) != 'cpu' for node in walk(dataset))


def use_amp(cfg: Config) -> None:
    """Set mixed precision in the form that the device supports.

    Args:
        cfg: The config; ``optim_wrapper`` is edited.
    """
    if get_device() != 'cpu':
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        return
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    cfg.optim_wrapper.pop('loss_scale', None)
    if cfg.optim_wrapper.pop('dtype', 'bfloat16') != 'bfloat16':
        print_log('A CPU has bfloat16 only: it is used', logger='current')
