"""Run ``tools/train.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from ...config_edits.config_check import check_config
from ...config_edits.follow_weights import follow_weights
from ...config_edits.img_size import require_patches
from ...config_edits.left_out import write_left_out
from ...config_edits.pretrained import apply_pretrained
from ...config_edits.recipe_variables import UnusedSettingError
from ...config_edits.recipe_weights import pretrained_parts, require_weights
from ...config_edits.seen_photos import keep_seen_in_training
from ...datasets.photo_decoding import UndecodableError
from ...datasets.photo_file import PhotoFileError
from ...datasets.unfit_data import UnfitDataError
from ...engine.hooks.best_confusion_hook import BestConfusionHook
from ...engine.hooks.training_forecast_hook import TrainingForecastHook
from ...engine.hooks.training_report_hook import TrainingReportHook
from ...engine.interruption import (
    StopHook,
    TrainingStopped,
    exit_code,
    stopping_between_steps,
)
from ...engine.launch import (
    TRAINED_ANEW,
    add_own_hooks,
    build_trainer,
    end_ranks,
    place_data,
    read_config,
    set_loader_defaults,
    set_work_dir,
    use_amp,
)
from ...engine.one_step_check import check_job
from ...engine.work_folder import (
    WorkFolderError,
    claimed_work_dir,
    folder_to_resume,
    planned_classes,
)
from ...fileio.printable_text import write_any_character
from ...resources import resource_root
from ...weights.loading import CheckpointMismatchError
from ...weights.newest_checkpoint import newest_whole_checkpoint, resume_from
from ...weights.pretrained_models import download_note
from ..data_arguments import run_name
from ..own_process import short_words
from ..worker_message import message_of
from .cpu_advice import cpu_advice
from .machine_choice import machine_options
from .named_config import use_named_config
from .training_options import apply_training_options, choose_device


def complete_config(args: argparse.Namespace) -> Config:
    """Return the complete config that follows from the arguments."""
    splits = ['train'] if args.no_validate else ['train', 'val']
    use_named_config(args)
    cfg = read_config(args)
    try:
        check_config(cfg)
    except UnusedSettingError as error:
        raise SystemExit(str(error)) from None
    cfg = follow_named_weights(cfg, args)
    cfg = apply_training_options(cfg, args)
    cfg = place_data(cfg, args, splits)
    add_own_hooks(cfg)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise SystemExit(
                f'--auto-scale-lr: {args.config} does not say for which batch size its learning '
                'rate is meant; add auto_scale_lr = dict(base_batch_size=...)'
            )
        cfg.auto_scale_lr.enable = True
    set_loader_defaults(
        cfg,
        ['train', 'val', 'test'],
        pin_memory=not args.no_pin_memory,
        persistent_workers=not args.no_persistent_workers,
    )
    if args.cfg_options is not None:  # applied last, too
        cfg.merge_from_dict(args.cfg_options)
    choose_work_dir(cfg, args)
    if (chosen := machine_options(cfg, args)) is not None:
        args.cfg_options = {**chosen, **(args.cfg_options or {})}
        args.told = True
        return complete_config(args)
    return choose_weights(cfg, args)


def follow_named_weights(cfg: Config, args: argparse.Namespace) -> Config:
    """Replace the backbone by the backbone of the named weights, if the recipe takes any.

    Args:
        cfg: The recipe.
        args: The arguments of the tool. A ``backbone`` of the model index that is given without
            weights also names its published weights.

    Raises:
        SystemExit: With a message, if the weights fit no backbone.
    """
    if args.backbone is not None and args.pretrained is None:
        args.pretrained = args.backbone
    try:
        size = args.img_size or (args.cfg_options or {}).get('size')
        cfg = follow_weights(cfg, args.pretrained, args.backbone, size)
        if args.img_size is not None:
            require_patches(cfg, args.img_size)
        return cfg
    except ValueError as error:
        raise SystemExit(f'{error}') from None


def choose_work_dir(cfg: Config, args: argparse.Namespace) -> None:
    """Set the work dir: the named one, the default, or that of the run to continue.

    Args:
        cfg: The config, changed in place.
        args: The arguments of the tool.

    Raises:
        SystemExit: With a message, if the run to continue had another dataset.
    """
    args.numbered = not (args.work_dir or cfg.get('work_dir'))
    default = f'work_dirs/{run_name(args)}'
    if args.numbered and args.resume is not None:
        is_file = args.data is not None and Path(args.data).suffix  # its stem is in the default
        dataset = cfg.train_dataloader.dataset if is_file else None
        try:
            default = folder_to_resume(default, args.resume, planned_classes(cfg), dataset)
        except WorkFolderError as error:
            raise SystemExit(str(error)) from None
    set_work_dir(cfg, args, default)


def choose_weights(cfg: Config, args: argparse.Namespace) -> Config:
    """Set the weights from which the training starts, after all other options about weights.

    Args:
        cfg: The config, changed in place.
        args: The arguments of the tool.
    """
    weights = args.pretrained or default_weights(cfg)
    try:
        if weights is not None:
            if note := download_note(weights):
                print_log(note)
            cfg = apply_pretrained(cfg, weights)
    except ValueError as error:  # a message instead of a traceback
        if args.pretrained is None:
            return begin_from_scratch(cfg, args, error)
        raise SystemExit(f'--pretrained: {error}') from None
    try:
        if args.resume is not None:
            cfg = resume_from(cfg, args.resume)
            if cfg.resume and (line := keep_seen_in_training(cfg)):
                print_log(line)
        if weights is None and not cfg.get('resume'):
            require_weights(cfg)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    return cfg


def default_weights(cfg: Config) -> str | None:
    """Return the weights from which a recipe starts if the user names none.

    Args:
        cfg: The config. One that names weights itself, for example in ``load_from``, needs no
            others.
    """
    named = cfg.get('load_from') or pretrained_parts(cfg.model)
    return None if named else cfg.get('default_weights')


def begin_from_scratch(cfg: Config, args: argparse.Namespace, reason: ValueError) -> Config:
    """Return the config for random weights if the default weights are not available.

    Args:
        cfg: The config of the recipe with weights.
        args: The arguments of the tool, changed in place.
        reason: Why the weights are not available.

    Raises:
        SystemExit: If a run with weights should be continued, or no other recipe is named.
    """
    other = cfg.get('from_scratch')
    begun = args.resume is not None and any(Path(cfg.work_dir).glob('*.pth'))
    if other is not None and Path(cfg.work_dir, Path(other).name).is_file():
        begun = False  # a run of the other recipe is continued
    packaged = Path(args.config).resolve().is_relative_to(resource_root() / 'configs')
    if begun or other is None or not packaged:
        raise SystemExit(
            f'{cfg.default_weights} cannot be had: {reason}\nName a file with --pretrained FILE'
            + ('' if begun else ', or train from random weights with photos-scratch')
        )
    print_log(
        f'{cfg.default_weights}, the weights to start from, cannot be had ({reason}).\n'
        f'Training from random weights instead, with {other}. With weights the result is better '
        'as a rule: fetch them by other means and name the file with --pretrained FILE'
    )
    args.instead_of, args.config = args.config, str(resource_root() / other)
    args.told = True
    return complete_config(args)


def _advice(cfg: Config) -> str:
    if cfg.get('resume'):
        return ''
    return (
        '\nOnly head, localization MLP, memory and the size of the position embedding may differ '
        'from load_from; --pretrained takes the backbone alone, of other makers, too'
    )


def train(cfg: Config, args: argparse.Namespace) -> None:
    """Train in a work dir that no other run uses; the default one may get a number.

    Args:
        cfg: The config, changed in place.
        args: The arguments of the tool.

    Raises:
        SystemExit: If a signal stopped the training; the message says how to continue.
    """
    stop = StopHook()
    with claimed_work_dir(cfg, args.numbered):
        runner = build_trainer(cfg, TRAINED_ANEW, quiet=not args.verbose)
        if is_main_process() and (listed := write_left_out(cfg, runner.work_dir)):
            runner.logger.info(f'The photos that are left out are listed in {listed}')
        if advice := cpu_advice(cfg, args, len(runner.train_dataloader.dataset)):
            runner.logger.info(advice)
        baselines = not args.no_baselines
        for hook in (
            stop,
            TrainingForecastHook(),
            BestConfusionHook(),
            TrainingReportHook(baselines=baselines),
        ):
            runner.register_hook(hook)
        try:
            with stopping_between_steps(stop):
                runner.train()
        except (TrainingStopped, KeyboardInterrupt) as stopped:
            if args.debug:
                raise
            if is_main_process():
                print(how_to_go_on(runner.work_dir, args), file=sys.stderr, flush=True)
            if isinstance(stopped, TrainingStopped):
                end_ranks()
            number = getattr(stopped, 'number', signal.SIGINT)
            raise SystemExit(exit_code(number)) from None
        except (PhotoFileError, UndecodableError) as error:
            stop.save_last_step(runner)
            if args.debug:
                raise
            raise SystemExit(
                f'{message_of(error)}\nMend or remove this photo, or leave it out with '
                f'--skip-unreadable.\n{how_to_go_on(runner.work_dir, args)}'
            ) from None


def how_to_go_on(work_dir: str, args: argparse.Namespace) -> str:
    """Return a line on what is saved of a stopped training and how to continue it.

    Args:
        work_dir: The folder of the training.
        args: The arguments of the tool.
    """
    saved = newest_whole_checkpoint(work_dir)
    if saved is None:
        return 'Stopped before anything was saved.'
    words = [word for word in sys.argv[1:] if not word.startswith('--resume=')]
    if '--resume' in words:
        place = words.index('--resume')
        del words[place : place + (1 if args.resume == 'auto' else 2)]
    if asked := getattr(args, 'instead_of', None):  # started from random weights
        before = ['', *words]  # a folder that follows its option may have the same name
        words = [
            args.config if Path(word).stem == Path(asked).stem and option[:2] != '--' else word
            for option, word in zip(before, words, strict=False)
        ]
    again = ['vit-plugins', 'train', *short_words(words)] if words else ['the same command']
    named = [] if args.work_dir else ['--work-dir', work_dir]
    command = ' '.join(map(shlex.quote, [*again, *named, '--resume']))
    return f'Stopped; {saved.name} of {work_dir} is saved. To go on: {command}'


def run(args: argparse.Namespace) -> None:
    """Train, or check that a training is possible.

    Raises:
        SystemExit: With a message, if there is no training step or numbers are not finite.
    """
    write_any_character()
    choose_device(args)
    cfg = complete_config(args)
    try:
        if args.check:
            summary = check_job(cfg)
            if is_main_process():
                print(summary)
        else:
            train(cfg, args)
    except CheckpointMismatchError as error:  # a message instead of a traceback
        raise SystemExit(f'{error}{_advice(cfg)}') from None
    except (UnfitDataError, WorkFolderError, UnusedSettingError, FloatingPointError) as error:
        raise SystemExit(f'{error}') from None
    end_ranks()
