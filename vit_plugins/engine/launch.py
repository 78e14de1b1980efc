"""Build a runner from arguments, on any device; the training and testing tools share this."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from ..config_edits.data_root import (
    FOLDER_SETTINGS,
    apply_data_root,
    hold_nothing_out,
    require_effect,
)
from ..config_edits.dataset_by_name import SPLITS, class_count, read_data, use_data
from ..config_edits.dataset_fit import require_same_task
from ..config_edits.fit_schedules import follow_training
from ..config_edits.fraction import use_fraction
from ..config_edits.img_size import set_img_size
from ..config_edits.presence import MissingDataError, require_data
from ..config_edits.reading import read_config_file
from ..config_edits.recipe_variables import apply_options
from ..config_edits.walking import type_name
from .hooks.bounded_history_hook import BoundedHistoryHook
from .hooks.metric_name_hook import MetricNameHook
from .hooks.resumed_settings_hook import ResumedSettingsHook
from .hooks.run_record_hook import RunRecordHook
from .hooks.strict_load_hook import StrictLoadHook
from .hooks.training_guard_hook import require_steps
from .late_config import late_runner
from .ranks import start_ranks
from .run_defaults import drop_hooks_that_are_off

TRAINED_ANEW = ('head.',)  # weights to start from may lack these


def read_config(
    args: argparse.Namespace, *, trained: bool = False, splits: Sequence[str] = SPLITS
) -> Config:
    """Load the config, merge ``--cfg-options``, start the ranks and apply the other data options.

    Args:
        args: Arguments of a tool.
        trained: Whether the config belongs to a trained model, whose head and normalisation stay
            the same if ``--data`` names other images.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` the file of ``--data`` must have.

    Returns:
        The config.

    Raises:
        SystemExit: With a message, if there is no such config, an option would have no effect, or
            ``--data`` or ``--fraction`` cannot be applied to it.
        ValueError: If the launcher does not work on a CPU.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    options = args.cfg_options or {}
    try:
        cfg = read_config_file(args.config)
        if getattr(args, 'img_size', None) is not None:
            named = getattr(args, 'pretrained', None) or getattr(args, 'backbone', None)
            follows = bool(cfg.get('backbone_follows') and named)
            cfg = set_img_size(cfg, args.img_size, options, others_backbone=follows)
        else:
            cfg = apply_options(cfg, options)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    start_ranks(cfg, args.launcher)
    try:
        cfg = put_in(cfg, args.data, trained=trained, splits=splits)
        if getattr(args, 'fraction', None) is not None:
            cfg = use_fraction(cfg, args.fraction, args.subset)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    if options:  # the last word, too
        cfg.merge_from_dict(options)
    return cfg


def put_in(
    cfg: Config, data: str | None, *, trained: bool = False, splits: Sequence[str] = SPLITS
) -> Config:
    """Set the dataset of ``--data`` in a config.

    Args:
        cfg: The config, changed in place.
        data: A name or a file; None changes nothing.
        trained: Whether a trained model will be tested, which must have as many classes.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` it must have.

    Returns:
        The same config.

    Raises:
        ValueError: If the dataset does not fit the config.
    """
    if data is None:
        return cfg
    theirs = read_data(data, cfg)
    require_same_task(cfg, theirs)
    ours = class_count(cfg)
    cfg = use_data(cfg, theirs, trained=trained, splits=splits)
    if trained and ours != class_count(theirs):
        raise ValueError(
            f'--data {data} {_in_words(class_count(theirs))}, and the model tells {ours} apart: '
            'test it on a dataset with its classes, or see tools/probe.py'
        )
    return cfg


def _in_words(classes: int | None) -> str:
    if classes is None:
        return (
            'does not say how many classes there are (add data_preprocessor = '
            'dict(num_classes=...))'
        )
    return f'has {classes} classes'


def set_work_dir(cfg: Config, args: argparse.Namespace, default: str) -> None:
    """Set the work dir: from the argument, else from the config, else the default.

    Args:
        cfg: The config; edited.
        args: Arguments of a tool.
        default: The folder to use if neither names one.
    """
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or default


def place_data(
    cfg: Config,
    args: argparse.Namespace,
    splits: Iterable[str],
    classes: Sequence[str] | None = None,
    trained_on: Path | None = None,
) -> Config:
    """Set the user's folder in the config, or check that the config's own data are there.

    Args:
        cfg: The config.
        args: Arguments of a tool.
        splits: Which of ``'train'``, ``'val'``, ``'test'`` will be read.
        classes: With a folder: the classes of a trained model.
        trained_on: With a folder: the table of the photos that this model has seen.

    Returns:
        The new config.

    Raises:
        SystemExit: On every rank, if the data are absent or do not fit; the message says what
            to do.
    """
    asked = FOLDER_SETTINGS & set(args.cfg_options or ())
    wanted = folder_options(args)
    try:
        if args.data_root is None:
            require_effect({_flag(name) for name in wanted}, 'there is no --data-root')
            require_effect(asked, 'there is no --data-root')
            if getattr(args, 'no_validate', False):
                hold_nothing_out(cfg)
            require_data(cfg, splits)
            return cfg
        cfg = apply_data_root(
            cfg,
            args.data_root,
            verify=not args.no_verify,
            validate=not getattr(args, 'no_validate', False),
            classes=classes,
            trained_on=trained_on,
            data=args.data,
            told=getattr(args, 'told', False),
            asked=asked | ({'balance'} & wanted.keys()),
            **wanted,
        )
        require_data(cfg, splits)
        return cfg
    except (MissingDataError, ValueError) as error:
        raise SystemExit(f'{error}') from None


# Command-line options about a folder, as arguments of apply_data_root.
FOLDER_OPTIONS = ('balance', 'skip_unreadable', 'group_by', 'labels')


def folder_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the command-line options about a folder, except its path.

    Args:
        args: Arguments of a tool; some may be absent.
    """
    values = {name: getattr(args, name, None) for name in FOLDER_OPTIONS}
    return {name: value for name, value in values.items() if value not in (None, False)}


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def build_trainer(cfg: Config, may_differ: Sequence[str] = (), *, quiet: bool = False) -> Runner:
    """Build the runner of a training; its schedules follow its length and true batch size.

    Args:
        cfg: The complete config.
        may_differ: Beginnings of the names of weights that ``load_from`` need not have.
        quiet: Whether config, hooks and parameter groups go to the log file only.

    Raises:
        NoStepError: If the images do not fill a batch.
    """
    runner = build_runner(cfg, may_differ, quiet=quiet)
    require_steps(runner.train_dataloader)  # before the schedules, whose error is less clear
    follow_training(runner)
    count_accumulation(runner)
    return runner


def count_accumulation(runner: Runner) -> None:
    """Include accumulated batches in the batch size of ``auto_scale_lr``.

    Args:
        runner: A runner that is not yet training.
    """
    # a runner with a strategy leaves the learning rate to it
    strategy = getattr(runner, 'strategy', None)
    holder, name = (runner, 'auto_scale_lr') if strategy is None else (strategy, '_auto_scale_lr')
    settings, counts = getattr(holder, name), 1
    if isinstance(runner.optim_wrapper, dict):
        counts = runner.optim_wrapper.get('accumulative_counts', 1)
    if settings and settings.get('enable') and counts > 1:
        runner.logger.info(f'{counts} batches make one step: the learning rate counts all of them')
        # the host divides the batch size of all ranks by it
        base = settings['base_batch_size'] / counts
        setattr(holder, name, {**settings, 'base_batch_size': base})


def _require_no_average(cfg: Config) -> None:
    """Check that no hook averages weights, which fails on resuming and on sharded weights."""
    if 'EMAHook' in [type_name(hook) for hook in cfg.get('custom_hooks') or []]:
        raise ValueError(
            f'EMAHook does not work with strategy={type_name(cfg.strategy)}: it cannot copy a '
            'sharded model, and such a training cannot be resumed; remove the hook from '
            'custom_hooks, or the strategy to train under DDP'
        )


def build_runner(cfg: Config, may_differ: Sequence[str] = (), *, quiet: bool = False) -> Runner:
    """Build the runner of a config; it stops if weights do not fit the model.

    Args:
        cfg: The complete config.
        may_differ: Beginnings of the names of weights that ``load_from`` need not have.
        quiet: Whether config, hooks and parameter groups go to the log file only.

    Returns:
        The host's runner, or the one of ``runner_type``, with a ``StrictLoadHook``, a
        ``ResumedSettingsHook``, a ``MetricNameHook`` and a ``BoundedHistoryHook``. It writes its
        config when training or testing begins, see ``RunRecordHook``.

    Raises:
        ValueError: If weights are averaged in a training with a ``strategy``.
    """
    drop_hooks_that_are_off(cfg)
    if cfg.get('strategy') is not None:  # which the host's Runner would ignore
        cfg.setdefault('runner_type', 'FlexibleRunner')
        cfg.setdefault('env_cfg', ConfigDict())  # the host's FlexibleRunner fails without it
        _require_no_average(cfg)
    runner = late_runner(cfg.get('runner_type', 'Runner'), quiet).from_cfg(cfg)
    runner.register_hook(StrictLoadHook(may_differ))
    runner.register_hook(ResumedSettingsHook())
    runner.register_hook(MetricNameHook())
    runner.register_hook(RunRecordHook())
    runner.register_hook(BoundedHistoryHook())
    return runner
