"""Train a classifier from a config: ``python tools/train.py CONFIG [--data NAME]``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
from collections.abc import Sequence

from vit_plugins.command_line.arguments import add_shared_arguments
from vit_plugins.command_line.data_arguments import SUBSETS, run_name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a classifier.')
    parser.add_argument('config', help='config file')
    add_shared_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or, without a name, from the newest whole one of the '
        'work dir',
    )
    parser.add_argument(
        '--pretrained',
        metavar='FILE',
        help='start from these weights (official, timm or OpenMMLab file, or a name of the model '
        'index) with a new classifier',
    )
    parser.add_argument(
        '--fraction',
        type=float,
        metavar='F',
        help='train on this part of each class, in 1 / F as many epochs: 0.05 is the twentieth '
        'of the images of ConViT, Table 2',
    )
    parser.add_argument(
        '--subset',
        choices=SUBSETS,
        default='first',
        help='which images --fraction keeps: the first in the order of names (as ConViT), or some '
        'at random; default: first',
    )
    parser.add_argument(
        '--check', action='store_true', help='build all, train one step, validate a batch, stop'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not validate, and hold no image out for it'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the true batch size over the one of the config',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='dataloader workers start anew each epoch',
    )
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from mmengine.config import Config
from mmengine.dist import is_main_process

from vit_plugins.config_edits.config_check import check_config
from vit_plugins.config_edits.pretrained import apply_pretrained
from vit_plugins.config_edits.recipe_variables import UnusedSettingError
from vit_plugins.config_edits.recipe_weights import require_weights
from vit_plugins.datasets.unfit_data import UnfitDataError
from vit_plugins.engine.launch import (
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
from vit_plugins.engine.one_step_check import check_job
from vit_plugins.engine.work_folder import (
    WorkFolderError,
    claimed_work_dir,
    folder_to_resume,
    planned_classes,
)
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.weights.choosing import resume_from
from vit_plugins.weights.loading import CheckpointMismatchError


def complete_config(args: argparse.Namespace) -> Config:
    """Turn the arguments into a config that says all that will happen."""
    splits = ['train'] if args.no_validate else ['train', 'val']
    cfg = read_config(args)
    try:
        check_config(cfg)
    except UnusedSettingError as error:
        raise SystemExit(str(error)) from None
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
    if args.cfg_options is not None:  # the last word, too
        cfg.merge_from_dict(args.cfg_options)
    choose_work_dir(cfg, args)
    return choose_weights(cfg, args)


def choose_work_dir(cfg: Config, args: argparse.Namespace) -> None:
    """Set the work dir: the one that was named, or the default, or the run to go on with."""
    args.numbered = not (args.work_dir or cfg.get('work_dir'))
    default = f'work_dirs/{run_name(args)}'
    if args.numbered and args.resume is not None:
        default = folder_to_resume(default, args.resume, planned_classes(cfg))
    set_work_dir(cfg, args, default)


def choose_weights(cfg: Config, args: argparse.Namespace) -> Config:
    """Set what the training starts from, after all else that names weights."""
    try:
        if args.pretrained is not None:
            cfg = apply_pretrained(cfg, args.pretrained)
    except ValueError as error:  # in words: no traceback needed
        raise SystemExit(f'--pretrained: {error}') from None
    try:
        if args.resume is not None:
            cfg = resume_from(cfg, args.resume)
        if args.pretrained is None and not cfg.get('resume'):
            require_weights(cfg)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    return cfg


def _advice(cfg: Config) -> str:
    if cfg.get('resume'):
        return ''
    return (
        '\nOnly head, localization MLP, memory and the size of the position embedding may differ '
        'from load_from; --pretrained takes the backbone alone, of other makers, too'
    )


def train(cfg: Config, numbered: bool) -> None:
    """Train in a work dir that no other run uses; the default one may get a number."""
    with claimed_work_dir(cfg, numbered):
        build_trainer(cfg, TRAINED_ANEW).train()


def main(argv: Sequence[str] | None = None) -> None:
    """Train, or check that one could.

    Raises:
        SystemExit: In words, if no step would be taken or numbers are not finite.
    """
    write_any_character()
    args = parse_args(argv)
    cfg = complete_config(args)
    try:
        if args.check:
            summary = check_job(cfg)
            if is_main_process():
                print(summary)
        else:
            train(cfg, args.numbered)
    except CheckpointMismatchError as error:  # in words: no traceback needed
        raise SystemExit(f'{error}{_advice(cfg)}') from None
    except (UnfitDataError, WorkFolderError, UnusedSettingError, FloatingPointError) as error:
        raise SystemExit(f'{error}') from None
    end_ranks()


if __name__ == '__main__':
    main()
