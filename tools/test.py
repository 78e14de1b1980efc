"""Test a trained classifier: ``python tools/test.py CONFIG CHECKPOINT`` or ``... WORK_DIR``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from vit_plugins.command_line.arguments import add_shared_arguments
from vit_plugins.command_line.data_arguments import run_name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a trained classifier.')
    parser.add_argument('config', help='config file, or the work dir of a training')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file, or a name of the model index; may be left out if a work dir is '
        'given: the best one there, or else the newest',
    )
    add_shared_arguments(parser)
    parser.add_argument('--out', help='file for the results')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what --out holds; the predictions if not said',
    )
    parser.add_argument(
        '--crop-ratio',
        type=float,
        metavar='R',
        help='share of the short side that the centre crop shows, within (0, 1]: images are '
        'resized to the input size over R first',
    )
    parser.add_argument('--tta', action='store_true', help='average over flipped images too')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='plot every N-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item says what --out FILE holds: give --out too')
    if args.checkpoint is None and not Path(args.config).is_dir():
        parser.error('give a checkpoint, or a work dir in place of the config')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from vit_plugins.config_edits.crop_ratio import set_crop_ratio
from vit_plugins.config_edits.walking import pipelines_of
from vit_plugins.datasets.unfit_data import UnfitDataError
from vit_plugins.engine.launch import (
    add_own_hooks,
    build_runner,
    default_hooks_of,
    end_ranks,
    place_data,
    read_config,
    set_loader_defaults,
    set_work_dir,
)
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.weights.choosing import find_trained, trained_classes
from vit_plugins.weights.index import resolve_weights
from vit_plugins.weights.loading import CheckpointMismatchError


def complete_config(args: argparse.Namespace) -> Config:
    """Turn the arguments into a config that says all that will happen."""
    default_work_dir = f'work_dirs/{run_name(args)}/test'
    trained = Path(args.config).is_dir()
    if trained:
        default_work_dir = f'{args.config}/test'
        args.config, found = find_trained(args.config)
        args.checkpoint = args.checkpoint or found
    args.checkpoint = resolve_weights(args.checkpoint)
    cfg = read_config(args, trained=trained)
    # A folder of its own: the runner writes its config there, and that of the training must stay.
    cfg.work_dir = None
    set_work_dir(cfg, args, default_work_dir)
    classes = trained_classes(args.checkpoint) if args.data_root else None
    cfg = place_data(cfg, args, ['test'], classes)
    add_own_hooks(cfg)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        plot_predictions(cfg, args)
    if args.crop_ratio is not None:
        crop_centrally(cfg, args.crop_ratio, views=args.tta)
    if args.tta:
        average_over_views(cfg)
    set_loader_defaults(cfg, ['test'], pin_memory=not args.no_pin_memory)
    if args.cfg_options is not None:  # the last word, too
        cfg.merge_from_dict(args.cfg_options)
    return cfg


def plot_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Set that the host's visualization hook writes pictures."""
    hooks = default_hooks_of(cfg)
    hooks.visualization = hooks.get('visualization') or {}
    hooks.visualization.update(
        type='VisualizationHook',
        enable=True,
        show=args.show,
        wait_time=args.wait_time,
        out_dir=args.show_dir,
        interval=args.interval,
    )


def crop_centrally(cfg: Config, ratio: float, views: bool) -> None:
    """Show the model this share of the short side, also in the config's own views."""
    pipelines = pipelines_of(cfg.test_dataloader.dataset)
    if views and 'tta_pipeline' in cfg:
        pipelines.append(cfg.tta_pipeline)
    try:
        for pipeline in pipelines:
            set_crop_ratio(pipeline, ratio)
    except ValueError as error:  # in words: no traceback needed
        raise SystemExit(f'--crop-ratio: {error}') from None


def average_over_views(cfg: Config) -> None:
    """Test with the config's test-time augmentation, or with flipped images if it has none.

    Raises:
        SystemExit: If the model gives no class scores, which are what is averaged.
    """
    if 'tta_model' not in cfg and 'Retriever' in cfg.model.type:
        raise SystemExit(
            f'--tta averages class scores, and {cfg.model.type} gives descriptors: leave it out, '
            'or name a tta_model in the config'
        )
    pipeline = cfg.test_dataloader.dataset.pipeline
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        views = dict(type='TestTimeAug', transforms=[flips, [deepcopy(pipeline[-1])]])
        cfg.tta_pipeline = [*deepcopy(pipeline[:-1]), views]
    tta_model = cfg.get('tta_model') or dict(type='mmpretrain.AverageClsScoreTTA')
    cfg.model = dict(**tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Test and return what was measured."""
    write_any_character()
    args = parse_args(argv)
    runner = build_runner(complete_config(args))
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    try:
        metrics = runner.test()
    except CheckpointMismatchError as error:  # in words: no traceback needed
        raise SystemExit(
            f'{error}\nTest it with the config that it was trained with, as its work dir has it'
        ) from None
    except (UnfitDataError, FloatingPointError) as error:  # in words: no traceback needed
        raise SystemExit(f'{error}') from None
    if args.out and args.out_item == 'metrics' and is_main_process():
        mmengine.dump(metrics, args.out)
    end_ranks()
    return metrics


if __name__ == '__main__':
    main()
