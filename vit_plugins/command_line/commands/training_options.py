"""Set the options of a training in its config."""

from __future__ import annotations

import argparse

from mmengine.config import Config

from ...config_edits.batch_size import set_batch_size
from ...config_edits.epoch_count import set_epochs
from ...config_edits.frozen import is_frozen, refuse_for_frozen, set_classifier
from ...config_edits.learning_rate import set_lr
from ...config_edits.seed import set_seed
from ...config_edits.time_limit import parse_time, set_time_limit
from ...config_edits.workers import set_workers
from ...engine.device import use_device

# Options that concern the steps of an optimizer.
OF_STEPS = ('epochs', 'lr', 'time_limit', 'amp', 'auto_scale_lr')


def choose_device(args: argparse.Namespace) -> None:
    """Set the device that the user named.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: If this machine does not have it.
    """
    try:
        if args.device is not None:
            use_device(args.device)
    except ValueError as error:
        raise SystemExit(f'{error}') from None


def apply_training_options(cfg: Config, args: argparse.Namespace) -> Config:
    """Set the options in a recipe, and refuse those that it does not support.

    Args:
        cfg: The recipe, changed in place.
        args: The arguments of the tool.

    Returns:
        The same config.

    Raises:
        SystemExit: With a message, if an option is out of range or the recipe does not support it.
    """
    try:
        refuse_for_frozen(cfg, _asked_about_steps(args))
        set_classifier(cfg, args.classifier, args.penalty)
        if cfg.train_cfg.get('classifier') == 'nearest-mean' and args.balance == 'loss':
            raise ValueError(
                '--balance loss would have no effect: the mean of a class does not depend on how '
                'many photos it has. Leave it out, or take --classifier linear'
            )
        if args.epochs is not None:
            set_epochs(cfg, args.epochs)
        if args.batch_size is not None:
            set_batch_size(cfg, args.batch_size, scale_lr=args.lr is None and not is_frozen(cfg))
        if args.lr is not None:
            set_lr(cfg, args.lr)
        if args.seed is not None:
            set_seed(cfg, args.seed)
        if args.workers is not None:
            set_workers(cfg, args.workers)
        of_recipe = cfg.pop('time_limit', None)
        if limit := args.time_limit or (of_recipe if args.epochs is None else None):
            set_time_limit(cfg, _seconds(limit))
    except ValueError as error:
        raise SystemExit(f'{error}') from None
    return cfg


def _asked_about_steps(args: argparse.Namespace) -> list[str]:
    asked = [name for name in OF_STEPS if getattr(args, name) not in (None, False)]
    asked = [f'--{name.replace("_", "-")}' for name in asked]
    balance = args.balance or (args.cfg_options or {}).get('balance')
    return [*asked, '--balance sampler'] if balance == 'sampler' else asked


def _seconds(text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise ValueError(f'--time-limit: {error}') from None
